//go:build race

package chaos

// The daemons are watched for data races, as the test itself is.
func init() { watching = append(watching, "-race") }
