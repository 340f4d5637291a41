// Package schema has the names of the DynamoDB table: of its keys, of its index, of the
// attribute that expires items and of the partition with a right of its own.
//
// The store reads and writes by these names and the CDK stack creates the table with
// them, so that both always agree. It knows neither the AWS SDK nor the other attributes
// of items.
package schema

// The table. All keys are strings.
const (
	// PartitionKey and SortKey are the primary key.
	PartitionKey = "PK"
	SortKey      = "SK"
	// ExpiryAttribute is the time, in seconds since 1970, at which an item expires.
	// DynamoDB deletes it within some days after that.
	ExpiryAttribute = "exp"
)

// PasswordPartition is the partition key of the admin password. The policies of
// functions name it: only one function may read it.
const PasswordPartition = "A"

// The index of the connections of a user. It is sparse: only connections of named
// users carry UserKey. It projects keys only.
const (
	// UserIndex is the name of the index.
	UserIndex = "user"
	// UserKey is the attribute that is its partition key; its sort key is
	// PartitionKey.
	UserKey = "user"
)
