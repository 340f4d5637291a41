package store

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"centrifuge/pkg/hub"
	"centrifuge/pkg/store/schema"
)

// FuzzDecodeStreamItems decodes items that no version has written: nothing panics, and a
// publication is at the position of its key.
func FuzzDecodeStreamItems(f *testing.F) {
	f.Add("e#00000000000000000001", "18446744073709551616", "text", uint64(0x123456789))
	f.Add(headSort, "-1", "", uint64(1<<63))
	f.Add("#", "1e3", "\xff", uint64(0))
	f.Fuzz(func(t *testing.T, sort, number, s string, kinds uint64) {
		var value func(depth int) types.AttributeValue
		value = func(depth int) types.AttributeValue {
			kind := kinds % 6
			kinds = kinds/6 + kind*0x9e3779b97f4a7c15
			switch {
			case kind == 0:
				return text(s)
			case kind == 1:
				return &types.AttributeValueMemberN{Value: number}
			case kind == 2:
				return &types.AttributeValueMemberBOOL{Value: true}
			case kind == 3:
				return &types.AttributeValueMemberNULL{Value: true}
			case kind == 4 || depth > 0:
				return &types.AttributeValueMemberB{Value: []byte(s)}
			}
			m := make(item)
			for _, name := range []string{attrID, attrDurable, attrRequest, attrEnd, s} {
				m[name] = value(depth + 1)
			}
			return &types.AttributeValueMemberM{Value: m}
		}
		i := item{schema.SortKey: text(sort)}
		for _, name := range headAttributes {
			i[name] = value(0)
		}
		for _, name := range []string{
			attrPublicationID, attrPublicationData, attrPublicationTime, attrPublicationClient, attrPublicationUser, attrPublicationInfo, attrPublicationOwn, attrPublicationTags,
		} {
			i[name] = value(0)
		}
		if h := decodeHead(hub.Channel{}, i, time.Unix(1, 0)); h.Epoch != textOf(i, attrEpoch) && !reflect.DeepEqual(h, hub.Head{}) {
			t.Errorf("epoch %q of head %+v", h.Epoch, h)
		}
		m, err := decodePublication(hub.Stream{}, i)
		if at, wrong := parsePublicationSort(sort); (wrong == nil) != (err == nil) || err == nil && m.Position != at {
			t.Errorf("%q is the position %+v: %v", sort, m.Position, err)
		}
	})
}

// FuzzPublicationItem encodes and decodes messages.
func FuzzPublicationItem(f *testing.F) {
	f.Add("id", `{"a":1}`, "c", "u", `"info"`, "tag", "value", uint64(1), int64(1_800_000_000_123))
	f.Add("", "null", "", "", "", "", "", uint64(1<<64-1), int64(0))
	f.Fuzz(func(t *testing.T, id, data, connection, user, info, tag, value string, offset uint64, ms int64) {
		st := hub.Stream{Channel: hub.Channel{Project: "p", Category: "c", Name: "n"}, ProjectName: "P", CategoryID: "1"}
		m := hub.Message{
			ID: id, Channel: st.Channel, ProjectName: "P", CategoryID: "1", Data: json.RawMessage(data),
			Client:   hub.Client{Connection: connection, User: user, Info: json.RawMessage(info)},
			Position: hub.Position{Epoch: "6921d2fb89abcdef01234567", Offset: offset}, Time: time.UnixMilli(ms % 1e15).UTC(),
		}
		if data == "" {
			m.Data = nil
		}
		if info == "" {
			m.Client.Info = nil
		}
		if tag != "" {
			m.Tags = map[string]string{tag: value}
		}
		got, err := decodePublication(st, encodePublication(st, m, time.Unix(0, 0)))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, got); d != "" {
			t.Errorf("-want +got:\n%s", d)
		}
	})
}

// TestStreamItemSizes checks that what a publish writes, besides its data, fits into one write
// unit each: DynamoDB bills every kilobyte that is begun.
func TestStreamItemSizes(t *testing.T) {
	const unit = 1024
	now := time.UnixMilli(1_800_000_000_123)
	st := hub.Stream{Channel: hub.Channel{Project: "shop", Category: "chat", Incarnation: "89abcdef", Name: "room-12345"}}
	at := hub.Position{Epoch: hub.NewID(now), Offset: 1 << 40}
	client := hub.Client{Connection: "L0SM9cOFvHcCIhw=", User: "9f3c1a2b-5d6e-4f70-8a9b-0c1d2e3f4a5b"}
	if n := sizeOf(encodePublication(st, hub.Message{ID: hub.NewID(now), Client: client, Position: at, Time: now}, now)); n > 256 {
		t.Errorf("a publication without data is %d bytes", n)
	}
	request := "9f3c1a2b-5d6e-4f70-8a9b-0c1d2e3f4a5b"
	head := key(streamKey(st.Channel), headSort)
	head[attrEpoch], head[attrWake], head[attrDone], head[attrRemoved], head[attrVersion] = text(at.Epoch), whole(1<<40), whole(1<<40), whole(1<<40), whole(1<<60)
	head[attrVersionEpoch] = text(request)
	head[attrHeadLease] = encodeLease(hub.Lease{ID: hub.NewID(now), Durable: true, Request: request, Until: now})
	head[attrNext] = encodeTurn(hub.Turn{Request: request, Until: now})
	head[schema.ExpiryAttribute] = expiry(now)
	if n := sizeOf(head); n > unit/2 {
		t.Errorf("a head is %d bytes", n)
	}
}

// sizeOf is the size of an item by DynamoDB's rules.
func sizeOf(i item) (n int) {
	for name, value := range i {
		n += len(name)
		switch v := value.(type) {
		case *types.AttributeValueMemberS:
			n += len(v.Value)
		case *types.AttributeValueMemberN:
			n += len(v.Value)/2 + 2
		case *types.AttributeValueMemberM:
			n += 3 + len(v.Value) + sizeOf(v.Value)
		default:
			n++
		}
	}
	return n
}
