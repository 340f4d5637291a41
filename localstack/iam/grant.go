package iam

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"centrifuge/functions"
	"centrifuge/pkg/store/schema"
)

// grants reports whether f may make a request.
func grants(f functions.Function, q Request) bool {
	switch q.Service {
	case DynamoDB:
		return grantsTable(f, q)
	case Management:
		return slices.Contains(f.Connections, q.Action)
	case EventBridge:
		return q.Action == "PutEvents" && grantsEvents(f, q.Body)
	case Lambda:
		return q.Action == "InvokeFunction" && slices.Contains(f.Invokes, q.Target)
	}
	return false
}

// value is an attribute value of DynamoDB, where that is a text.
type value struct{ S string }

// tableRequest is what decides about a request to DynamoDB. Batches are not read: no
// function makes one in a partition that is not open to all.
type tableRequest struct {
	IndexName                 string
	Key, Item                 map[string]value
	KeyConditionExpression    string
	ExpressionAttributeValues map[string]value
	// TransactItems are the items of a transaction, each under its kind.
	TransactItems []map[string]json.RawMessage
}

// transaction is the action of a transaction. It requires no right of its own: AWS checks
// those of its items.
const transaction = "TransactWriteItems"

// transactionActions are the actions that the items of a transaction require, by kind.
var transactionActions = map[string]string{
	"Put": "PutItem", "Update": "UpdateItem", "Delete": "DeleteItem", "ConditionCheck": "ConditionCheckItem",
}

func grantsTable(f functions.Function, q Request) bool {
	var r tableRequest
	if err := json.Unmarshal(q.Body, &r); err != nil {
		return false
	}
	switch {
	case r.IndexName != "":
		return slices.Contains(f.Index, q.Action)
	case q.Action == transaction:
		return len(r.TransactItems) > 0 && !slices.ContainsFunc(r.TransactItems, func(item map[string]json.RawMessage) bool {
			for kind, body := range item {
				if !grantsTable(f, Request{Action: transactionActions[kind], Body: body}) {
					return true
				}
			}
			return len(item) != 1
		})
	}
	return slices.Contains(f.Table, q.Action) && !r.names(schema.PasswordPartition) || slices.ContainsFunc(f.Partitions, func(p functions.Partition) bool {
		return slices.Contains(p.Actions, q.Action) && r.names(p.Key)
	})
}

// names reports whether a request is for a partition: that of its key, of its item or of
// its key condition.
func (r tableRequest) names(partition string) bool {
	prefix, wildcard := strings.CutSuffix(partition, "*")
	matches := func(v value) bool { return v.S == partition || wildcard && strings.HasPrefix(v.S, prefix) }
	return matches(r.Key[schema.PartitionKey]) || matches(r.Item[schema.PartitionKey]) ||
		slices.ContainsFunc(placeholder.FindAllString(r.KeyConditionExpression, -1), func(name string) bool {
			return matches(r.ExpressionAttributeValues[name])
		})
}

// placeholder is the name of a value in an expression.
var placeholder = regexp.MustCompile(`:\w+`)

// grantsEvents reports whether f may put all events of a request.
func grantsEvents(f functions.Function, body []byte) bool {
	var r struct{ Entries []functions.Event }
	if err := json.Unmarshal(body, &r); err != nil {
		return false
	}
	return !slices.ContainsFunc(r.Entries, func(e functions.Event) bool { return !slices.Contains(f.Puts, e) })
}
