package pgembed

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Clusters is a variable of the environment: a folder for data directories as initdb leaves them, of which new servers
// get copies, with the system identifier of the first. make test names one for all its tests, which make some hundred
// servers: initdb takes more than a second of CPU time.
const Clusters = "HOSHO_CLUSTERS"

// cluster returns where the data directory of this kind is kept; empty: nowhere.
func (s *Server) cluster() string {
	folder := os.Getenv(Clusters)
	if folder == "" || len(s.config.Env) > 0 { // which may change what initdb makes
		return ""
	}
	return filepath.Join(folder, strings.ReplaceAll(s.bin, string(filepath.Separator), "_"))
}

// fillFrom makes the data directory a copy of the one that is kept, and keeps the first.
func (s *Server) fillFrom(ctx context.Context, kept string) error {
	if _, err := os.Stat(kept); err == nil {
		return s.copyFrom(kept)
	}
	if err := s.initdb(ctx); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(filepath.Dir(kept), "unfinished")
	if err != nil {
		return err
	}
	if err := os.CopyFS(unfinished, os.DirFS(s.data())); err != nil {
		return err
	}
	if err := os.Rename(unfinished, kept); errors.Is(err, fs.ErrExist) { // another process was faster
		return os.RemoveAll(unfinished)
	} else if err != nil {
		return err
	}
	return nil
}

func (s *Server) copyFrom(kept string) error {
	return s.whole(func(unfinished string) error {
		if err := os.CopyFS(unfinished, os.DirFS(kept)); err != nil {
			return err
		}
		return filepath.WalkDir(unfinished, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, s.owner.give(path))
		})
	})
}
