mod answer;
mod errors;
mod events;
mod filter;
mod footprints;
mod host;
mod model;
mod page;
mod sample;
mod source;
mod tad;
fn main() {}
