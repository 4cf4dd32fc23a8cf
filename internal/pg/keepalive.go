package pg

import (
	"net"
	"time"
)

// deadAfter is how long a server that has gone without a word is taken to be there. Nothing else ends the wait for the
// answer to a COMMIT, which has no deadline.
const deadAfter = 10 * time.Second

// dialer asks a silent server after some seconds whether it is still there, twice more, and gives it up.
func dialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{
			Enable: true, Idle: deadAfter - 2*keepAliveInterval, Interval: keepAliveInterval, Count: 2,
		},
		Control: giveUpUnacknowledged,
	}
}

const keepAliveInterval = 3 * time.Second
