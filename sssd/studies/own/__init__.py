"""Configs for a user's own labelled and unlabelled images: what `sssd init` chooses, writes and tries."""
