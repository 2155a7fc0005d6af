module gossamer.invalid/bench/core/go

go 1.23
