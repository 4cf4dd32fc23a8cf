package brokers_test

import (
	"testing"

	"hosho/internal/lab/brokers/brokertest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }
