// Package schema is the shape of the DynamoDB table: the names of its keys, of
// its index and of the attribute that expires items.
//
// The store reads and writes by these names and the CDK stack creates the table
// with them, so that the two cannot drift apart. It knows neither the AWS SDK nor
// what the items hold.
package schema

// The table. All keys are strings.
const (
	// PartitionKey and SortKey are the primary key.
	PartitionKey = "PK"
	SortKey      = "SK"
	// ExpiryAttribute is the number of seconds since 1970 after which an item
	// counts no more; DynamoDB deletes it some days later at the latest.
	ExpiryAttribute = "exp"
)

// The index of the connections of a user. It is sparse: only connections of named
// users carry UserKey. It projects keys only.
const (
	// UserIndex is the name of the index.
	UserIndex = "user"
	// UserKey is the attribute that is its partition key; its sort key is
	// PartitionKey.
	UserKey = "user"
)
