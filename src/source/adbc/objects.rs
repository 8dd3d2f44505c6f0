//! The names of tables in a driver's answer to `GetObjects`.

use arrow_array::{Array, ArrayRef, ListArray, RecordBatch, StringArray, StructArray, cast::AsArray as _};

/// The tables of one batch, as `catalog.schema.table`; parts that a database does not have are left out.
/// `None` when the batch is not what the standard says.
pub(super) fn tables(batch: &RecordBatch) -> Option<Vec<String>> {
    let (catalogs, schemas) = named(batch.columns().first()?, batch.columns().get(1)?)?;
    let mut names = Vec::new();
    for catalog in 0..batch.num_rows() {
        for (schema, tables) in children(schemas, catalog, "db_schema_name", "db_schema_tables")? {
            let Some(tables) = tables else { continue };
            let table_names = tables.column_by_name("table_name")?.as_string_opt::<i32>()?;
            for table in table_names.iter().flatten() {
                let parts = [text(catalogs, catalog), schema.as_deref(), Some(table)];
                let parts: Vec<&str> = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect();
                names.push(parts.join("."));
            }
        }
    }
    Some(names)
}

fn named<'a>(names: &'a ArrayRef, lists: &'a ArrayRef) -> Option<(&'a StringArray, &'a ListArray)> {
    Some((names.as_string_opt::<i32>()?, lists.as_list_opt::<i32>()?))
}

fn text(names: &StringArray, at: usize) -> Option<&str> {
    (!names.is_null(at)).then(|| names.value(at))
}

/// The elements of list `at`: the name of each, and the structs of its own list.
fn children(
    lists: &ListArray,
    at: usize,
    name: &str,
    list: &str,
) -> Option<Vec<(Option<String>, Option<StructArray>)>> {
    if lists.is_null(at) {
        return Some(Vec::new());
    }
    let elements = lists.value(at);
    let elements = elements.as_struct_opt()?;
    let (names, lists) = named(elements.column_by_name(name)?, elements.column_by_name(list)?)?;
    let child = |at: usize| {
        let structs = (!lists.is_null(at)).then(|| lists.value(at).as_struct_opt().cloned());
        (text(names, at).map(str::to_owned), structs.flatten())
    };
    Some((0..elements.len()).map(child).collect())
}
