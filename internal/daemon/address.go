package daemon

import (
	"fmt"
	"reflect"

	"github.com/alecthomas/kong"

	"hosho/internal/identity"
	"hosho/internal/rpc"
)

// addresses are the types of flags that are addresses: type:"listen" is one of our own, type:"target" that of somebody
// else. With empty:"none" a flag may be empty, which says that there is none.
func addresses() []kong.Option {
	return []kong.Option{
		kong.NamedMapper("listen", address(rpc.CheckListen)),
		kong.NamedMapper("target", address(rpc.CheckTarget)),
		kong.NamedMapper("identity", address(func(text string) error {
			_, err := identity.Parse(text)
			return err
		})),
	}
}

// address is a text that is refused at the start when it can never work.
type address func(string) error

// Decode is called by kong.
func (check address) Decode(ctx *kong.DecodeContext, field reflect.Value) error {
	var text string
	if err := ctx.Scan.PopValueInto("address", &text); err != nil {
		return err
	}
	field.SetString(text)
	if text == "" && ctx.Value.Tag.Has("empty") {
		return nil
	}
	err := check(text)
	if text == "" && err != nil {
		return fmt.Errorf("%w; unset, it is %s", err, ctx.Value.Default)
	}
	return err
}
