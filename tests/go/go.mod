module gossamer/tests/scenarios

go 1.21
