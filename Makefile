PRESET ?= release

.PHONY: deps build test demo asan tsan long fuzz bench install
build: deps
	cmake --preset $(PRESET) && cmake --build --preset $(PRESET)
deps:
	scripts/install-deps.sh
test: build
	scripts/test.sh $(PRESET)
demo: build
	scripts/demo.sh build/$(PRESET)/auklet
asan tsan:
	$(MAKE) test PRESET=$@
long:
	scripts/install-deps.sh long
	$(MAKE) build
	scripts/test.sh $(PRESET) -L long
fuzz:
	scripts/install-deps.sh long
	$(MAKE) build PRESET=fuzz
	scripts/test.sh fuzz -L fuzz
bench: build
	AUKLET=build/$(PRESET)/auklet bench/bench_quantize.sh
install: build
	cmake --install build/$(PRESET)
