package roles_test

import (
	"hosho/internal/orderdb"
	"hosho/internal/paymentdb"
	"hosho/internal/pg"
)

// needs is what the programs ask for that connect as a login.
var needs = map[string][]pg.Need{
	"orderd": orderdb.OrderdNeeds(), "relay": orderdb.RelayNeeds(), "paymentd": paymentdb.Needs(),
}
