//! The data against the JSON Schemas of iLEAP.
//!
//! The schemas belong to the SINE Foundation and aren't part of this repository. `ILEAP_SCHEMAS` names the folder with
//! them.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use jsonschema::Validator;
use serde_json::Value;

use crate::harness::World;

fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("ILEAP_SCHEMAS").map(PathBuf::from);
    if folder.is_none() {
        // Written directly, because the test harness captures the output of a passing test's macros.
        let skipped = "skipped: ILEAP_SCHEMAS names no folder with iLEAP's schemas, so nothing was checked";
        let mut stderr = std::io::stderr();
        writeln!(stderr, "{skipped}").unwrap();
    }
    folder
}

fn validator(folder: &Path, name: &str) -> Validator {
    let schema = std::fs::read_to_string(folder.join(name)).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    jsonschema::options().should_validate_formats(true).build(&schema).unwrap()
}

fn check(validator: &Validator, value: &Value) {
    let errors: Vec<_> =
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
}

fn has_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(entries) => entries.iter().any(has_null),
        Value::Object(members) => members.values().any(has_null),
        _ => false,
    }
}

#[tokio::test]
async fn i2_no_answer_has_a_null() {
    let world = World::new().await;
    let token = world.token().await;
    for path in ["/2/footprints", "/2/ileap/tad"] {
        let entries = world.get(path, &token).await.entries();
        assert!(!entries.iter().any(has_null));
    }
}

#[tokio::test]
async fn i2_the_data_conforms_to_the_schemas_of_ileap() {
    let Some(folder) = folder() else { return };
    let world = World::new().await;
    let token = world.token().await;
    let footprint_of_shipment = validator(&folder, "pcf-shipment-footprint.json");
    let mut kinds = 0;
    for name in ["shipment-footprint.json", "toc.json", "hoc.json"] {
        let schema = validator(&folder, name);
        for footprint in world.get("/2/footprints", &token).await.entries() {
            let extension = &footprint["extensions"][0];
            if extension["dataSchema"] != format!("https://api.ileap.sine.dev/{name}") {
                continue;
            }
            kinds += 1;
            check(&schema, &extension["data"]);
            if name == "shipment-footprint.json" {
                check(&footprint_of_shipment, &footprint);
            }
        }
    }
    assert_eq!(kinds, world.get("/2/footprints", &token).await.entries().len());
    let schema = validator(&folder, "tad.json");
    for activity in world.get("/2/ileap/tad", &token).await.entries() {
        check(&schema, &activity);
    }
    // A schema that everything meets would hold nothing.
    let mut wrong = world.get("/2/ileap/tad", &token).await.entries().remove(0);
    wrong["departureAt"] = "yesterday".into();
    assert!(!schema.is_valid(&wrong));
}
