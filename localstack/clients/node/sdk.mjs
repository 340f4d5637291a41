// Calls the management API with the AWS SDK for JavaScript. It reads one call a line,
// as documented in ../sdk.go, and writes one answer a line.
import { createInterface } from "node:readline";
import {
  ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GetConnectionCommand,
  PostToConnectionCommand,
} from "@aws-sdk/client-apigatewaymanagementapi";

const client = new ApiGatewayManagementApiClient({
  endpoint: process.argv[2],
  region: "eu-central-1",
  credentials: { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "secret" },
  maxAttempts: 1,
});

const commands = { post: PostToConnectionCommand, get: GetConnectionCommand, delete: DeleteConnectionCommand };

async function call(operation, connection, data) {
  const input = { ConnectionId: connection };
  if (operation === "post") input.Data = data;
  try {
    const answer = await client.send(new commands[operation](input));
    return `${answer.$metadata.httpStatusCode} ${answer.Identity?.SourceIp ?? ""}`;
  } catch (error) {
    // Modelled errors have a class of their own.
    const modelled = error.constructor.name !== "ApiGatewayManagementApiServiceException";
    return `${error.$metadata?.httpStatusCode} ${modelled ? error.constructor.name : error.name}`;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const [operation, connection, data] = line.split("\t");
  const answer = await call(operation, Buffer.from(connection, "base64").toString(), Buffer.from(data, "base64"));
  process.stdout.write(`${answer.trim()}\n`);
}
