# make docker-...: thin calls of docker/compose.yml. DOCKER=podman takes podman with a compose provider.
DOCKER   ?= docker
GPUS     ?= 1
DATA_DIR ?= data
WORK_DIR ?= work_dirs
# Quick ones that compute; others want the checkout, make or git, which the images lack.
DOCKER_TESTS ?= tests/losses tests/views tests/guides tests/hooks

# What compose.yml reads beside these (SHM_SIZE, CPU_IMAGE, TORCH_CUDA_ARCH_LIST, ...) it takes from the environment.
COMPOSE = mkdir -p '$(DATA_DIR)' '$(WORK_DIR)' && \
	SSSD_UID=$$(id -u) SSSD_GID=$$(id -g) SSSD_COMMIT=$$(git rev-parse HEAD 2>/dev/null) \
	DATA_DIR='$(abspath $(DATA_DIR))' WORK_DIR='$(abspath $(WORK_DIR))' $(DOCKER) compose -f docker/compose.yml

.PHONY: docker-cpu docker-cuda docker-demo docker-train docker-test docker-check docker-shell

docker-cpu: ## build the image sssd:cpu
	@$(COMPOSE) build demo

docker-cuda: ## build the image sssd:cuda (TORCH_CUDA_ARCH_LIST=8.0 for one kind of card)
	@$(COMPOSE) build train

docker-demo: ## the demo in sssd:cpu (ARGS=--quick for a minute of it)
	@$(COMPOSE) run --rm demo python -m sssd demo $(ARGS)

docker-train: ## train in sssd:cuda: CONFIG=configs/... GPUS=8 ARGS="--work-dir ..."
	@test -n '$(CONFIG)' || { \
		echo "error: no config is given: call 'make docker-train CONFIG=configs/<file>.py GPUS=<number>'." >&2; exit 2; }
	@$(COMPOSE) run --rm train tools/dist_train.sh '$(CONFIG)' '$(GPUS)' $(ARGS)

docker-test: ## quick tests in sssd:cpu (DOCKER_TESTS=tests/detectors for others)
	@$(COMPOSE) run --rm demo python -m pytest $(DOCKER_TESTS) -q -p no:cacheprovider $(PYTEST_ARGS)

docker-check: ## does mmcv compute on this machine's GPU in sssd:cuda?
	@$(COMPOSE) run --rm train python docker/healthcheck.py --gpu

docker-shell: ## a shell in sssd:cuda
	@$(COMPOSE) run --rm train bash
