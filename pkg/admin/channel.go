package admin

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"centrifuge/pkg/hub"
)

const (
	// maxPublicationRows is how many publications a page shows. One more, of
	// hub.MaxMessageBytes each, are less than hub.MaxHistoryBytes: so a page that is not full
	// is the last one.
	maxPublicationRows = 30
	// maxShownData is how many bytes of the data of a publication a page shows.
	maxShownData = 500
)

// channelData is the data of channel.html.
type channelData struct {
	Name     string
	Category hub.Category
	// Kept reports whether the category keeps history. Otherwise the rest is empty.
	Kept bool
	// TTL is how long a message stays in the history, such as "24h".
	TTL string
	// Top is the position of the newest publication, zero for no stream.
	Top hub.Position
	// Rows are the newest first.
	Rows []publicationRow
	// Newest reports whether Rows begin with the newest publication.
	Newest bool
	// Ended reports that the position that the rows were to follow is in another epoch.
	Ended bool
	// Newer and Older are the paths of the pages before and after this one, "" for none.
	Newer, Older string
}

type publicationRow struct {
	Offset uint64
	Time   time.Time
	// Application reports whether an application published it. Otherwise User did, "" for an
	// anonymous one.
	Application bool
	User        string
	// Data is the start of the data, Bytes the size of all of it, "" where Data is all. Whole
	// is the path of the action that reads it.
	Data, Bytes, Whole string
	Tags               []string
}

// channelOf reads the project in the path, and the channel that a request names. Where it
// returns false it has written the response.
func (s *site) channelOf(w http.ResponseWriter, r *http.Request, name string) (p *hub.Project, ch hub.Channel, ok bool) {
	if p, ok = s.project(w, r); !ok {
		return nil, hub.Channel{}, false
	}
	ch, err := hub.ParseChannel(p.ID, name)
	if err == nil {
		_, err = p.CategoryOf(ch)
	}
	if err != nil {
		s.fail(w, r, err)
		return nil, hub.Channel{}, false
	}
	return p, ch, true
}

// channelPage handles GET /admin/projects/{project}/channels/show?channel=…. It shows the
// newest publications of the channel; with since=OFFSET@EPOCH those that follow a position, and
// with reverse=true those that precede it.
func (s *site) channelPage(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p, ch, ok := s.channelOf(w, r, query.Get("channel"))
	if !ok {
		return
	}
	d := channelData{Name: ch.String(), Category: p.Categories[ch.Category]}
	retention := d.Category.Retention()
	d.Kept, d.TTL = retention.Size > 0, brief(retention.TTL)
	if !d.Kept {
		s.render(w, r, http.StatusOK, "channel.html", d)
		return
	}
	q := hub.HistoryQuery{Limit: maxPublicationRows + 1, Reverse: query.Get("reverse") == "true"}
	if at := query.Get("since"); at != "" {
		since, err := parsePosition(at)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		q.Since = &since
	} else {
		q.Reverse = true
	}
	publications, top, err := s.Hub.History(r.Context(), p, ch, q)
	if errors.Is(err, hub.ErrUnrecoverablePosition) {
		d.Ended, q.Since, q.Reverse = true, nil, true
		publications, top, err = s.Hub.History(r.Context(), p, ch, q)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d.Top = top
	d.list(p, q, publications)
	s.render(w, r, http.StatusOK, "channel.html", d)
}

// brief writes a duration without the units at its end that are zero.
func brief(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"0s", "0m"} {
		if rest := strings.TrimSuffix(text, zero); strings.HasSuffix(rest, "h") || strings.HasSuffix(rest, "m") {
			text = rest
		}
	}
	return text
}

// parsePosition reads OFFSET@EPOCH, as the command cent writes a position.
func parsePosition(text string) (hub.Position, error) {
	offset, epoch, _ := strings.Cut(text, "@")
	n, err := strconv.ParseUint(offset, 10, 64)
	if err != nil {
		return hub.Position{}, hub.ErrBadRequest.With("since is not a position: write OFFSET@EPOCH")
	}
	return hub.Position{Offset: n, Epoch: epoch}, nil
}

// list fills in what the query found, with links to what is before and after it.
func (d *channelData) list(p *hub.Project, q hub.HistoryQuery, found []hub.Message) {
	more := len(found) > maxPublicationRows
	found = found[:min(len(found), maxPublicationRows)]
	if !q.Reverse {
		slices.Reverse(found)
	}
	for _, m := range found {
		d.Rows = append(d.Rows, d.row(p, m))
	}
	d.Newest = q.Since == nil
	if len(found) == 0 {
		return
	}
	if q.Since != nil && (q.Reverse || more) {
		d.Newer = d.page(p, found[0].Position, false)
	}
	if !q.Reverse || more {
		d.Older = d.page(p, found[len(found)-1].Position, true)
	}
}

// page is the path of the page of what follows a position, or precedes it.
func (d *channelData) page(p *hub.Project, at hub.Position, reverse bool) string {
	query := url.Values{"channel": {d.Name}, "since": {fmt.Sprintf("%d@%s", at.Offset, at.Epoch)}}
	if reverse {
		query.Set("reverse", "true")
	}
	return projectPath(p, "channels", "show") + "?" + query.Encode()
}

func (d *channelData) row(p *hub.Project, m hub.Message) publicationRow {
	row := publicationRow{
		Offset: m.Position.Offset, Time: m.Time.UTC(), Application: m.Client.Connection == "", User: m.Client.User, Data: string(m.Data),
	}
	if len(row.Data) > maxShownData {
		end := maxShownData
		for !utf8.RuneStart(row.Data[end]) {
			end--
		}
		row.Data, row.Bytes = row.Data[:end], group(len(row.Data))
		row.Whole = projectPath(p, "actions") + "?" + url.Values{
			"method": {"history"}, "channel": {d.Name}, "limit": {"1"},
			"since": {fmt.Sprintf(`{"offset":%d,"epoch":%s}`, m.Position.Offset-1, literal(m.Position.Epoch))},
		}.Encode()
	}
	for _, name := range slices.Sorted(maps.Keys(m.Tags)) {
		row.Tags = append(row.Tags, name+": "+m.Tags[name])
	}
	return row
}

// submitHistoryRemoval handles POST /admin/projects/{project}/channels/remove-history. The
// form has the channel and confirm=yes.
func (s *site) submitHistoryRemoval(w http.ResponseWriter, r *http.Request) {
	if !s.readForm(w, r, maxManifestBytes) {
		return
	}
	p, ch, ok := s.channelOf(w, r, r.PostForm.Get("channel"))
	if !ok {
		return
	}
	done := ""
	if r.PostForm.Get("confirm") == "yes" {
		if err := s.removeHistory(r.Context(), p, ch); err != nil {
			s.fail(w, r, err)
			return
		}
		done = "history-removed"
	}
	redirect(w, r, projectPath(p, "channels", "show")+"?"+url.Values{"channel": {ch.String()}}.Encode(), done)
}
