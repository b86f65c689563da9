# `make demo` and `make test` do all their own set-up, in .venv.
.PHONY: demo test check format types docs wheel bench clean

BIN = .venv/bin

demo:
	@sh tools/setup.sh demo
	@$(BIN)/goldentape demo

test:
	@sh tools/setup.sh test
	@sh tests/setup.sh
	@$(BIN)/python -m pytest -n 2 --dist loadfile

check: format types docs wheel

format:
	@sh tools/setup.sh test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types:
	@sh tools/setup.sh test
	$(BIN)/mypy
	$(BIN)/mypy fixtures/demo
	$(BIN)/lint-imports

docs:
	@sh tools/setup.sh test
	$(BIN)/python docs/reference.py --check

wheel:
	@sh tools/setup.sh test
	sh tools/wheel.sh

bench:
	@sh tools/setup.sh test
	@sh benchmarks/run.sh

clean:
	rm -rf .venv build dist *.egg-info demo-tapes tests/node/node_modules .mypy_cache .ruff_cache
