import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.awscore.retry.AwsRetryStrategy;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.apigatewaymanagementapi.ApiGatewayManagementApiClient;
import software.amazon.awssdk.services.apigatewaymanagementapi.model.ApiGatewayManagementApiException;

/**
 * Calls the management API with the AWS SDK for Java. It reads one call a line, as
 * documented in ../sdk.go, and writes one answer a line.
 */
public class Sdk {
    public static void main(String[] args) throws Exception {
        ApiGatewayManagementApiClient client = ApiGatewayManagementApiClient.builder()
            .endpointOverride(URI.create(args[0]))
            .region(Region.EU_CENTRAL_1)
            .credentialsProvider(StaticCredentialsProvider.create(AwsBasicCredentials.create("AKIDEXAMPLE", "secret")))
            .overrideConfiguration(o -> o.retryStrategy(AwsRetryStrategy.doNotRetry()))
            .build();
        BufferedReader calls = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        for (String line; (line = calls.readLine()) != null;) {
            String[] parts = line.split("\t", -1);
            String connection = new String(Base64.getDecoder().decode(parts[1]), StandardCharsets.UTF_8);
            System.out.println(call(client, parts[0], connection, Base64.getDecoder().decode(parts[2])).trim());
        }
    }

    private static String call(ApiGatewayManagementApiClient client, String operation, String connection, byte[] data) {
        try {
            switch (operation) {
                case "post":
                    return "" + client.postToConnection(r -> r.connectionId(connection).data(SdkBytes.fromByteArray(data)))
                        .sdkHttpResponse().statusCode();
                case "get":
                    var answer = client.getConnection(r -> r.connectionId(connection));
                    return answer.sdkHttpResponse().statusCode() + " " + answer.identity().sourceIp();
                case "delete":
                    return "" + client.deleteConnection(r -> r.connectionId(connection)).sdkHttpResponse().statusCode();
                default:
                    throw new IllegalArgumentException(operation);
            }
        } catch (AwsServiceException error) {
            // Modelled errors have a class of their own.
            boolean modelled = error.getClass() != ApiGatewayManagementApiException.class;
            return error.statusCode() + " " + (modelled ? error.getClass().getSimpleName() : error.awsErrorDetails().errorCode());
        }
    }
}
