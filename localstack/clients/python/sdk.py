"""Calls the management API with boto3, the AWS SDK for Python.

Reads one call a line, as documented in ../sdk.go, and writes one answer a line.
"""

import base64
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

client = boto3.client(
    "apigatewaymanagementapi",
    endpoint_url=sys.argv[1],
    region_name="eu-central-1",
    aws_access_key_id="AKIDEXAMPLE",
    aws_secret_access_key="secret",
    config=Config(retries={"total_max_attempts": 1}),
)


def call(operation, connection, data):
    match operation:
        case "post":
            answer = client.post_to_connection(ConnectionId=connection, Data=data)
        case "get":
            answer = client.get_connection(ConnectionId=connection)
        case "delete":
            answer = client.delete_connection(ConnectionId=connection)
    status = answer["ResponseMetadata"]["HTTPStatusCode"]
    return f"{status} {answer.get('Identity', {}).get('SourceIp', '')}"


for line in sys.stdin:
    operation, connection, data = line.rstrip("\n").split("\t")
    try:
        answer = call(operation, base64.b64decode(connection).decode(), base64.b64decode(data))
    except ClientError as error:
        # Modelled errors are subclasses of ClientError.
        name = type(error).__name__ if type(error) is not ClientError else error.response["Error"]["Code"]
        answer = f"{error.response['ResponseMetadata']['HTTPStatusCode']} {name}"
    print(answer.strip(), flush=True)
