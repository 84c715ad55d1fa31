# make check     what a change must pass before it lands (CI runs more: .ci/run)
# make bits      the promise, on the demo's job: one hash whatever happens (ten minutes on two cores)
# make bench     the measurements of docs/bench.md (alone on the machine; CARILLON_PYTHON: a Python with torch, peft and adapters)
# make bench-checkpoint  what a checkpoint holds steps up, and how fast it is saved to and restored from a bucket
# make chaos     two leaders race for HEAD a thousand times on each store; two dozen machines leave, each at another moment
# make cluster-test  three coordinators, five nodes and an S3 server on nine addresses; launch over ssh and in a Slurm allocation (eight minutes)
# make demo      the demo
# make fuzz      every fuzz target for FUZZTIME (20000x: so many inputs)

# GoMLX's Go backend does pointer arithmetic that checkptr refuses.
RACE = -race -gcflags=github.com/gomlx/compute/...=-d=checkptr=0

check: format vet staticcheck
	go test $(RACE) ./...

format:
	@files=$$(git ls-files -co --exclude-standard '*.go' | xargs gofmt -l) && test -z "$$files" || { echo "$$files"; exit 1; }

vet:
	go vet ./...

staticcheck:
	mkdir -p out
	go build -C tools -o ../out/staticcheck honnef.co/go/tools/cmd/staticcheck
	out/staticcheck ./...

demo:
	go run ./cmd/carillon demo

bits:
	go test -count=1 -timeout=3h -run TestBits -v ./systest -bits

FUZZTIME = 20000x

fuzz:
	bash .ci/fuzz $(FUZZTIME)

bench:
	go run ./systest/bench -out docs/bench.md

bench-checkpoint:
	go test ./node -run='^$$' -bench=Save -benchtime=20x
	go test ./objstore/s3 -run='^$$' -bench=BesidePlain -benchtime=7x

chaos:
	go test -count=1 -v -timeout=60m -run=LeavingAtAnyMoment ./systest -leaves 24
	go test -count=1 -v -run=TwoLeaders ./checkpoint -rounds 1000

cluster-test:
	go test -count=1 -v -timeout=40m ./systest/cluster -cluster

.PHONY: check format vet staticcheck demo bits fuzz bench bench-checkpoint chaos cluster-test
