//go:build race

package stack_test

// The daemons are watched for data races, as the test itself is.
func init() { watching = append(watching, "-race") }
