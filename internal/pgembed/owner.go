package pgembed

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// owner is the user that the server runs as. PostgreSQL refuses to run as root, so root lends it another user;
// everybody else runs it as themselves, with a nil credential.
type owner struct {
	name       string
	credential *syscall.Credential
}

func findOwner() (owner, error) {
	if os.Getuid() != 0 {
		return owner{}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return owner{}, fmt.Errorf("user %s: %w", name, err)
		}
		return owner{name, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return owner{}, errors.New("PostgreSQL refuses to run as root, and there is neither a user postgres nor a user " +
		"nobody to run it as")
}

func (o owner) give(path string) error {
	if o.credential == nil {
		return nil
	}
	return os.Chown(path, int(o.credential.Uid), int(o.credential.Gid))
}

// admit lets the owner pass through the directory. The ones above it are opened too where they are temporary, as
// testing.T's are; to open others, such as root's home, is not for this package to decide.
func (o owner) admit(dir string) error {
	if o.credential == nil {
		return nil
	}
	const enter = 0o011
	temporary, err := filepath.Abs(os.TempDir())
	if err != nil {
		return err
	}
	for d := dir; d != filepath.Dir(d); d = filepath.Dir(d) {
		info, err := os.Stat(d)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&enter == enter {
			continue
		}
		if d != dir && !strings.HasPrefix(d, temporary+"/") {
			return fmt.Errorf("user %s, whom the server runs as, may not enter %s: choose another directory than %s "+
				"(TMPDIR says where temporary ones are)", o.name, d, dir)
		}
		if err := os.Chmod(d, info.Mode().Perm()|enter); err != nil {
			return err
		}
	}
	return nil
}
