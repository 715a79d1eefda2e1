import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.FileInputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.apache.arrow.flight.Action;
import org.apache.arrow.flight.CallOption;
import org.apache.arrow.flight.FlightCallHeaders;
import org.apache.arrow.flight.FlightClient;
import org.apache.arrow.flight.FlightDescriptor;
import org.apache.arrow.flight.FlightEndpoint;
import org.apache.arrow.flight.FlightInfo;
import org.apache.arrow.flight.FlightRuntimeException;
import org.apache.arrow.flight.FlightStream;
import org.apache.arrow.flight.HeaderCallOption;
import org.apache.arrow.flight.Location;
import org.apache.arrow.memory.BufferAllocator;
import org.apache.arrow.memory.RootAllocator;
import org.apache.arrow.vector.FieldVector;
import org.apache.arrow.vector.TimeStampMicroTZVector;
import org.apache.arrow.vector.UInt4Vector;
import org.apache.arrow.vector.VectorSchemaRoot;
import org.apache.arrow.vector.types.pojo.Field;
import org.apache.arrow.vector.types.pojo.Schema;

/** A Flight client; ../README.md says what it is asked and what it prints. */
public final class Client {
  private static final ObjectMapper JSON = new ObjectMapper();

  public static void main(String[] given) throws Exception {
    try (BufferAllocator memory = new RootAllocator();
        FlightClient client = connected(memory, given[0].split(":"))) {
      CallOption[] options = options(client, given[2]);
      if (given[1].startsWith("action:")) {
        client.doAction(new Action(given[1].substring("action:".length())), options).next();
        return;
      }
      FlightDescriptor wanted = descriptor(given[1]);
      Schema schema = client.getSchema(wanted, options).getSchema();
      FlightInfo info = client.getInfo(wanted, options);
      if (!schema.equals(info.getSchemaOptional().orElse(null))) {
        throw new IllegalStateException("GetFlightInfo and GetSchema differ: " + schema);
      }
      List<String> columns = schema.getFields().stream().map(Field::getName).toList();
      print(Map.of("columns", columns, "metadata", schema.getCustomMetadata()));
      for (FlightEndpoint endpoint : info.getEndpoints()) {
        try (FlightStream stream = client.getStream(endpoint.getTicket(), options)) {
          read(stream, Integer.parseInt(given[3]));
        }
      }
    } catch (FlightRuntimeException error) {
      System.err.println(error.status().code() + ": " + error.getMessage());
      System.exit(1);
    }
  }

  /** Reaches the server plainly, by TLS, or by TLS with a certificate of our own. */
  private static FlightClient connected(BufferAllocator memory, String[] address) throws Exception {
    int port = Integer.parseInt(address[1]);
    if (System.getenv("CLIENT_CA") == null) {
      return FlightClient.builder(memory, Location.forGrpcInsecure(address[0], port)).build();
    }
    FlightClient.Builder builder = FlightClient.builder(memory, Location.forGrpcTls(address[0], port));
    builder.trustedCertificates(new FileInputStream(System.getenv("CLIENT_CA")));
    if (System.getenv("CLIENT_CERTIFICATE") != null) {
      builder.clientCertificate(
          new FileInputStream(System.getenv("CLIENT_CERTIFICATE")), new FileInputStream(System.getenv("CLIENT_KEY")));
    }
    return builder.build();
  }

  /** Returns what every call shows: the compression, and who we are. */
  private static CallOption[] options(FlightClient client, String compression) {
    FlightCallHeaders headers = new FlightCallHeaders();
    headers.insert("compression", compression);
    if (System.getenv("CLIENT_TOKEN") != null) {
      headers.insert("authorization", "Bearer " + System.getenv("CLIENT_TOKEN"));
    }
    List<CallOption> options = new ArrayList<>(List.of(new HeaderCallOption(headers)));
    if (System.getenv("CLIENT_PASSWORD") != null) {
      options.add(client.authenticateBasicToken("key", System.getenv("CLIENT_PASSWORD")).orElseThrow());
    }
    return options.toArray(CallOption[]::new);
  }

  private static FlightDescriptor descriptor(String asked) {
    return asked.startsWith("{")
        ? FlightDescriptor.command(asked.getBytes(StandardCharsets.UTF_8))
        : FlightDescriptor.path(asked.split("/"));
  }

  private static void read(FlightStream stream, int most) throws Exception {
    for (int taken = 0; (most == 0 || taken < most) && stream.next(); taken++) {
      byte[] told = new byte[(int) stream.getLatestMetadata().readableBytes()];
      stream.getLatestMetadata().getBytes(0, told);
      print(Map.of("told", JSON.readTree(told), "rows", rows(stream.getRoot())));
    }
    if (most != 0) {
      stream.cancel("enough", null);
    }
  }

  private static List<Map<String, Object>> rows(VectorSchemaRoot batch) {
    List<Map<String, Object>> rows = new ArrayList<>();
    for (int at = 0; at < batch.getRowCount(); at++) {
      Map<String, Object> row = new LinkedHashMap<>();
      for (FieldVector column : batch.getFieldVectors()) {
        row.put(column.getName(), value(column, at));
      }
      rows.add(row);
    }
    return rows;
  }

  private static Object value(FieldVector column, int at) {
    if (column.isNull(at)) {
      return null;
    }
    if (column instanceof UInt4Vector numbers) {
      return numbers.getObjectNoOverflow(at);
    }
    if (column instanceof TimeStampMicroTZVector times) {
      return Instant.EPOCH.plus(times.get(at), ChronoUnit.MICROS).toString();
    }
    Object held = Objects.requireNonNull(column.getObject(at));
    return held instanceof Number || held instanceof Boolean || held instanceof List ? plain(held) : held.toString();
  }

  /** Text in a list is Arrow's own class, which Jackson would take apart. */
  private static Object plain(Object held) {
    return held instanceof List<?> items ? items.stream().map(String::valueOf).toList() : held;
  }

  private static void print(Object line) throws Exception {
    System.out.println(JSON.writeValueAsString(line));
  }
}
