package store_test

import (
	"errors"
	"testing"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store"
)

func TestListProjects(t *testing.T) {
	s := newRig(t)
	names := func() (names []string) {
		t.Helper()
		projects, err := s.ListProjects(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range projects {
			names = append(names, p.Name)
		}
		return names
	}
	put := func(id, name string) {
		t.Helper()
		s.putProject(t, &hub.Project{ID: id, Name: name, Secret: "s"})
	}
	same(t, "empty table", names(), []string(nil))
	put("2", "b")
	put("1", "c")
	put("a#b", "a")
	same(t, "order", names(), []string{"a", "b", "c"})
	put("1", "aa")
	same(t, "after a rename", names(), []string{"a", "aa", "b"})
	if err := s.PutCategory(t.Context(), "1", hub.Category{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	projects, err := s.ListProjects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, "categories of aa", len(projects[1].Categories), 1)
	for _, id := range []string{"2", "a#b", "none"} {
		if err := s.DeleteProject(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "after deleting", names(), []string{"aa"})
	// A write that fails at its condition has added the entry of the list.
	fails(t, s.PutProject(t.Context(), &hub.Project{ID: "half", Name: "half", Secret: "s", Revision: 1}), hub.ErrConflict)
	same(t, "entry without a project", names(), []string{"aa"})
}

func TestReadProjectCache(t *testing.T) {
	s := newRig(t)
	cached := s.Another(store.Options{})
	if err := s.PutProject(t.Context(), &hub.Project{ID: "p", Name: "before", Secret: "s"}); err != nil {
		t.Fatal(err)
	}
	if _, err := cached.Project(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
	if err := s.PutProject(t.Context(), &hub.Project{ID: "p", Name: "after", Secret: "s", Revision: 1}); err != nil {
		t.Fatal(err)
	}
	p, err := cached.ReadProject(t.Context(), "p")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "name", p.Name, "after")
	if _, err := cached.ReadProject(t.Context(), "none"); !errors.Is(err, hub.ErrProjectNotFound) {
		t.Errorf("error %v", err)
	}
}

func TestPutProjectRevision(t *testing.T) {
	s := newRig(t)
	if err := s.PutProject(t.Context(), &hub.Project{ID: "p", Name: "n", Secret: "s", APIKeyHashes: []string{"leaked"}}); err != nil {
		t.Fatal(err)
	}
	read := func() *hub.Project {
		t.Helper()
		p, err := s.ReadProject(t.Context(), "p")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	// One caller revokes a key while another renames the project.
	one, another := read(), read()
	one.APIKeyHashes = nil
	if err := s.PutProject(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	another.Name = "renamed"
	if err := s.PutProject(t.Context(), another); !errors.Is(err, hub.ErrConflict) {
		t.Errorf("error %v", err)
	}
	got := read()
	same(t, "name", got.Name, "n")
	same(t, "keys", len(got.APIKeyHashes), 0)
	got.Name = "renamed"
	if err := s.PutProject(t.Context(), got); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteProject(t.Context(), "p"); err != nil {
		t.Fatal(err)
	}
	if err := s.PutProject(t.Context(), got); !errors.Is(err, hub.ErrConflict) {
		t.Errorf("write after deletion: error %v", err)
	}
}
