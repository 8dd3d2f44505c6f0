/* A driver of ADBC that breaks its standard: the text of a query says how. Headers are not installed, so what is needed of
 * them stands here: https://arrow.apache.org/adbc/, https://arrow.apache.org/docs/format/CDataInterface.html */
#include <stdint.h>
#include <string.h>

typedef uint8_t Status;

struct Schema {
  const char *format, *name, *metadata;
  int64_t flags, n_children;
  struct Schema **children, *dictionary;
  void (*release)(struct Schema *);
  void *private_data;
};

struct Array {
  int64_t length, null_count, offset, n_buffers, n_children;
  const void **buffers;
  struct Array **children, *dictionary;
  void (*release)(struct Array *);
  void *private_data;
};

struct Stream {
  int (*get_schema)(struct Stream *, struct Schema *);
  int (*get_next)(struct Stream *, struct Array *);
  const char *(*get_last_error)(struct Stream *);
  void (*release)(struct Stream *);
  void *private_data;
};

/* Places of functions in the table of a driver. */
enum { DATABASE_INIT = 3, DATABASE_NEW = 4, DATABASE_RELEASE = 6, CONNECTION_INIT = 12, CONNECTION_NEW = 13,
       CONNECTION_RELEASE = 16, EXECUTE_QUERY = 20, STATEMENT_NEW = 23, STATEMENT_RELEASE = 25, SET_SQL_QUERY = 27,
       STATEMENT_CANCEL = 49, EXECUTE_SCHEMA = 50 };

static char query[64];
static int batches;

static int is(const char *lie) { return strcmp(query, lie) == 0; }

static void release_schema(struct Schema *schema) { schema->release = NULL; }
static void release_array(struct Array *array) { array->release = NULL; }
static void release_stream(struct Stream *stream) { stream->release = NULL; }

static void schema(struct Schema *out, const char *type_of_name) {
  static struct Schema columns[2];
  static struct Schema *children[2] = {&columns[0], &columns[1]};
  columns[0] = (struct Schema){.format = "l", .name = "id", .flags = 2, .release = release_schema};
  columns[1] = (struct Schema){.format = type_of_name, .name = "name", .release = release_schema};
  columns[1].flags = is("nulls in a column without") ? 0 : 2;
  if (is("unknown format")) columns[1].format = "no format";
  if (is("format that is no text")) columns[1].format = "\xff\xfe";
  if (is("name that is no text")) columns[1].name = "\xff\xfe";
  if (is("no format")) columns[1].format = NULL;
  *out = (struct Schema){.format = "+s", .n_children = 2, .children = children, .release = release_schema};
  if (is("no children")) out->children = NULL;
  if (is("no columns")) out->n_children = 0;
}

static int get_schema(struct Stream *stream, struct Schema *out) {
  schema(out, is("another schema") ? "l" : "u");
  return 0;
}

static int get_next(struct Stream *stream, struct Array *out) {
  static const int64_t ids[] = {1, 2, 3};
  static const int32_t offsets[] = {0, 3, 6, 9}, falling[] = {0, 6, 3, 9}, negative[] = {-3, 3, 6, 9};
  static const char text[] = "AnnBobCat";
  static const uint8_t nulls[] = {5};
  static const void *of_batch[1], *of_ids[3], *of_names[3];
  static struct Array columns[2];
  static struct Array *children[2] = {&columns[0], &columns[1]};

  batches++;
  if (is("good") && batches > 1) return 0;
  of_ids[1] = ids;
  of_ids[2] = text;
  of_names[0] = NULL;
  of_names[1] = offsets;
  of_names[2] = text;
  columns[0] = (struct Array){.length = 3, .n_buffers = 2, .buffers = of_ids, .release = release_array};
  columns[1] = (struct Array){.length = 3, .n_buffers = 3, .buffers = of_names, .release = release_array};
  *out = (struct Array){.length = 3, .n_buffers = 1, .n_children = 2, .buffers = of_batch, .children = children, .release = release_array};
  if (is("endless empty batches")) out->length = columns[0].length = columns[1].length = 0;
  /* The lie comes behind rows that are good. */
  if (batches == 1) return 0;
  if (is("failure without words")) return 5;
  if (is("column without rows")) columns[0].length = 1;
  if (is("batch of negative length")) out->length = -1;
  if (is("fewer columns")) out->n_children = 1;
  if (is("text in place of numbers")) columns[0].n_buffers = 3;
  if (is("numbers in place of text")) columns[1].n_buffers = 2;
  if (is("no buffer")) of_ids[1] = NULL;
  if (is("no buffers")) columns[0].buffers = NULL;
  if (is("falling offsets")) of_names[1] = falling;
  if (is("negative offsets")) of_names[1] = negative;
  if (is("nulls in a column without")) {
    of_names[0] = nulls;
    columns[1].null_count = 1;
  }
  if (is("batch that is released")) out->release = NULL;
  return 0;
}

static Status done(void) { return 0; }

static Status set_sql_query(void *statement, const char *sql, void *error) {
  strncpy(query, sql, sizeof query - 1);
  return 0;
}

static Status execute_schema(void *statement, struct Schema *out, void *error) {
  if (!is("no schema")) schema(out, "u");
  return 0;
}

static Status execute_query(void *statement, struct Stream *out, int64_t *rows, void *error) {
  *out = (struct Stream){.get_schema = get_schema, .get_next = get_next, .release = release_stream};
  if (is("stream that is released")) out->release = NULL;
  if (is("no function for batches")) out->get_next = NULL;
  return 0;
}

Status LiarInit(int version, void **driver, void *error) {
  int plain[] = {DATABASE_INIT, DATABASE_NEW, DATABASE_RELEASE, CONNECTION_INIT, CONNECTION_NEW, CONNECTION_RELEASE,
                 STATEMENT_NEW, STATEMENT_RELEASE, STATEMENT_CANCEL};
  for (size_t at = 0; at < sizeof plain / sizeof *plain; at++) driver[plain[at]] = (void *)done;
  driver[SET_SQL_QUERY] = (void *)set_sql_query;
  driver[EXECUTE_QUERY] = (void *)execute_query;
  driver[EXECUTE_SCHEMA] = (void *)execute_schema;
  return 0;
}
