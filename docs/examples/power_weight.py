"""A weight of rows of your own: as far as student and teacher differ, to a power."""

from sssd.errors import UserError
from sssd.losses.reweight import Reweight
from sssd.registry import LOSSES


@LOSSES.register_module()
class PowerWeight(Reweight):
    """Weights ``g^power``, scaled to sum to 1, where g in [0, 1] is a row's score distance.

    Args:
        power: 0 is the plain mean; 1 lets a row that differs twice as much count twice.

    Raises:
        UserError: If the power is below 0.
    """

    of_distance = True  # the weights depend on g alone, so both directions of Eq. 2 share them

    def __init__(self, power: float = 1.0) -> None:
        super().__init__()
        if power < 0:
            raise UserError(f'PowerWeight: power is {power}, but it must not be below 0.')
        self.power = power

    def weights(self, divergence, distance, valid):
        """The weights (N,) of rows with these divergences, distances and validities, each (N,)."""
        weights = valid * distance**self.power
        return weights / weights.sum().clamp(min=1e-6)
