package store_test

import (
	"testing"

	"centrifuge/pkg/store"
)

func TestAdminPassword(t *testing.T) {
	s := newRig(t)
	other := s.Another(store.Options{}) // its cache must not hold the hash
	for _, want := range []string{"", "a hash", "another hash"} {
		if want != "" {
			if err := s.PutAdminPassword(t.Context(), want); err != nil {
				t.Fatal(err)
			}
		}
		got, err := other.AdminPassword(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		same(t, "hash", got, want)
	}
	if all, err := s.ListProjects(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("%d projects, error %v", len(all), err)
	}
}
