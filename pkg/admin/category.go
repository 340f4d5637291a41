package admin

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/manifest"
)

// categoryRow is a category in the list.
type categoryRow struct {
	Name string
	// On are the titles of the options that are on.
	On []string
	// The others are the values in force.
	Shards, MessageBytes int
	Domains              []string
}

// categoriesPage handles GET /admin/projects/{project}/categories.
func (s *site) categoriesPage(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	var rows []categoryRow
	for _, c := range sortedCategories(p) {
		fields, err := fieldsOf(hub.CategoryReference, c.CategoryOptions)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		row := categoryRow{Name: c.Name, Shards: c.ShardCount(), MessageBytes: c.MessageBytes(), Domains: c.AllowedDomains}
		for _, f := range fields {
			if f.Checked {
				row.On = append(row.On, f.Title)
			}
		}
		rows = append(rows, row)
	}
	s.render(w, r, http.StatusOK, "categories.html", rows)
}

const categoryNameHelp = `The part of a channel before the ":". Without a name it is the category of the channels without a ":". It cannot be changed later.`

// categoryLabel is what pages show in the place of a category's name.
func categoryLabel(name string) string { return cmp.Or(name, "(no name)") }

// categoryData is the data of category.html.
type categoryData struct {
	// New means that the category does not exist. Otherwise Name is its name.
	New     bool
	Name    string
	Fields  []field
	Problem string
	// Revision is the revision that the form shows, 0 for a new category.
	Revision int
}

// newCategoryPage handles GET /admin/projects/{project}/categories/new.
func (s *site) newCategoryPage(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.project(w, r); ok {
		s.renderCategory(w, r, hub.Category{}, true)
	}
}

// categoryPage handles GET /admin/projects/{project}/categories/edit?category=….
func (s *site) categoryPage(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok {
		return
	}
	c, ok := p.Categories[r.URL.Query().Get("category")]
	if !ok {
		s.fail(w, r, hub.ErrCategoryNotFound)
		return
	}
	s.renderCategory(w, r, c, false)
}

func (s *site) renderCategory(w http.ResponseWriter, r *http.Request, c hub.Category, isNew bool) {
	fields, err := fieldsOf(hub.CategoryReference, c.CategoryOptions)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	name := nameField(categoryNameHelp, c.Name, false)
	name.Fixed = !isNew
	s.render(w, r, http.StatusOK, "category.html", categoryData{New: isNew, Name: c.Name, Fields: append([]field{name}, fields...), Revision: c.Revision})
}

// submitNewCategory handles POST /admin/projects/{project}/categories/new.
func (s *site) submitNewCategory(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxManifestBytes) {
		return
	}
	name := strings.TrimSpace(r.PostForm.Get("name"))
	var problem error
	if _, exists := p.Categories[name]; exists {
		problem = hub.ErrBadRequest.With("a category of this name exists")
	}
	s.writeCategory(w, r, p, nameField(categoryNameHelp, name, false), 0, problem)
}

// submitCategory handles POST /admin/projects/{project}/categories/edit?category=….
func (s *site) submitCategory(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxManifestBytes) {
		return
	}
	name := nameField(categoryNameHelp, r.URL.Query().Get("category"), false)
	name.Fixed = true
	c, ok := p.Categories[name.Value]
	if !ok {
		s.fail(w, r, hub.ErrCategoryNotFound)
		return
	}
	s.writeCategory(w, r, p, name, shownRevision(r, c.Revision), nil)
}

// writeCategory is the common part of submitNewCategory and submitCategory. A problem
// with the name is shown together with those of the other fields.
func (s *site) writeCategory(w http.ResponseWriter, r *http.Request, p *hub.Project, name field, revision int, problem error) {
	options, fields, ok := readOptions[hub.CategoryOptions](hub.CategoryReference, r.PostForm)
	d := categoryData{New: !name.Fixed, Name: name.Value, Fields: append([]field{name}, fields...), Revision: revision}
	if problem == nil && !name.Fixed {
		problem = hub.Category{Name: name.Value}.Validate()
	}
	if problem != nil {
		d.Fields[0].Problem = d.Fields[0].explain(problem)
		ok = false
	}
	if ok {
		created, err := s.putCategory(r.Context(), p, manifest.Category{Name: name.Value, CategoryOptions: options}, revision)
		switch {
		case isInvalid(err):
			d.Problem = assignProblem(d.Fields, err)
		case err != nil:
			s.fail(w, r, err)
			return
		case created:
			redirect(w, r, projectPath(p, "categories"), "category-created")
			return
		default:
			redirect(w, r, projectPath(p, "categories"), "category-saved")
			return
		}
	}
	s.render(w, r, http.StatusBadRequest, "category.html", d)
}

// submitCategoryDeletion handles POST /admin/projects/{project}/categories/delete. The
// form has the category's name and confirm=yes.
func (s *site) submitCategoryDeletion(w http.ResponseWriter, r *http.Request) {
	p, ok := s.project(w, r)
	if !ok || !s.readForm(w, r, maxManifestBytes) {
		return
	}
	name := r.PostForm.Get("category")
	if r.PostForm.Get("confirm") != "yes" {
		to := projectPath(p, "categories", "edit") + "?" + url.Values{"category": {name}}.Encode()
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	if err := s.removeCategory(r.Context(), p, name); err != nil {
		s.fail(w, r, err)
		return
	}
	redirect(w, r, projectPath(p, "categories"), "category-deleted")
}
