package roles_test

import (
	"testing"

	"hosho/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
