package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"centrifuge/localstack/process"
)

// claim is the exclusive use of a data folder by this process. Two processes must not
// open the same data, and the project demo has the address of one service.
type claim struct{ file *os.File }

// inUseError says that another process has the claim on a data folder.
type inUseError struct {
	dir string
	// database is the address of the database of the service in that process. It is ""
	// while the service starts, and for an invoke.
	database string
}

func (e *inUseError) Error() string {
	return fmt.Sprintf("the data in %s is in use by another make run or make invoke: stop it, or give this one data and a port of its own, such as DATA_DIR=%s PORT=8081 make run",
		e.dir, filepath.Join(e.dir, "8081"))
}

// claimFile is the file that is locked. It has the address of the database of the
// service that runs on the data.
func claimFile(dir string) string { return filepath.Join(dir, "dynamodb.endpoint") }

// claimData claims a data folder, which it makes. The claim ends with release, or with
// this process, even when that is killed: then the address in the file says nothing.
// It fails with an inUseError when another process has the claim.
func claimData(dir string) (*claim, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	f, err := os.OpenFile(claimFile(dir), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("claim the data folder: %w", err)
	}
	err = process.TryLock(f)
	if errors.Is(err, process.ErrLocked) {
		database, err := io.ReadAll(f)
		return nil, errors.Join(err, f.Close(), &inUseError{dir, string(database)})
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("claim the data folder: %w", err), f.Close())
	}
	return &claim{f}, nil
}

// publish lets invokes use the database of this process.
func (c *claim) publish(database string) error {
	if _, err := c.file.WriteAt([]byte(database), 0); err != nil {
		return fmt.Errorf("write the address of the database: %w", err)
	}
	return nil
}

// release ends the claim. The file stays: another process may be about to lock it.
func (c *claim) release() error { return errors.Join(c.file.Truncate(0), c.file.Close()) }
