package storetest

import (
	"context"
	"fmt"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
)

// Enter opens a connection and gives it the identity and the channels of c.
func Enter(ctx context.Context, s *store.Store, c hub.Connection) error {
	if err := s.OpenConnection(ctx, c); err != nil {
		return fmt.Errorf("enter: %w", err)
	}
	opened := hub.Connection{ID: c.ID, Origin: c.Origin, Expires: c.Expires}
	_, _, err := s.ChangeConnection(ctx, opened, func(hub.Connection) (hub.Change, error) {
		return hub.Change{Connection: c}, nil
	})
	return err
}
