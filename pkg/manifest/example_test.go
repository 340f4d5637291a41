package manifest_test

import (
	"encoding/json"
	"regexp"
	"testing"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// suchAs matches the example in the help of an option.
var suchAs = regexp.MustCompile(`such as (\S+?)\.?(?:\s|$)`)

// TestOptionExamples applies the examples in the help of options, and the default of each,
// to a project.
func TestOptionExamples(t *testing.T) {
	found := 0
	apply := func(t *testing.T, o hub.Option, value any, project bool) {
		t.Helper()
		if o.Kind.List() {
			value = []any{value}
		}
		options := map[string]any{o.Name: value}
		in := map[string]any{"id": "shop", "name": "Shop", "options": options}
		if !project {
			options["name"] = "chat"
			in = map[string]any{"id": "shop", "name": "Shop", "categories": []any{options}}
		}
		b, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var p manifest.Project
		if err := manifest.Decode(b, &p); err != nil {
			t.Fatal(err)
		}
		if err := (&hub.Project{ID: p.ID, Name: p.Name, Secret: "-", Options: p.Options}).Validate(); err != nil {
			t.Error(err)
		}
		for _, c := range p.Categories {
			if err := (hub.Category{Name: c.Name, CategoryOptions: c.CategoryOptions}).Validate(); err != nil {
				t.Error(err)
			}
		}
	}
	for i, reference := range [][]hub.Option{hub.ProjectReference, hub.CategoryReference} {
		for _, o := range reference {
			t.Run(o.Name, func(t *testing.T) {
				var value any
				if json.Unmarshal([]byte(o.Default), &value) == nil {
					apply(t, o, value, i == 0)
				}
				for _, example := range suchAs.FindAllStringSubmatch(o.Help, -1) {
					found++
					apply(t, o, example[1], i == 0)
				}
			})
		}
	}
	if found != 2 {
		t.Errorf("%d examples", found)
	}
}
