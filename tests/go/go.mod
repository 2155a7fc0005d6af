module gossamer/tests/scenarios

go 1.25.0

require (
	golang.org/x/sync v0.19.0
	golang.org/x/time v0.14.0
)
