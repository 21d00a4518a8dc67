//! Topics by enumeration and recursion: the rules of section 4.7, slowly.

/// Whether `filter`, a valid one, matches the Topic Name `name`.
pub fn matches(filter: &str, name: &str) -> bool {
    let wildcard_first = filter.starts_with('+') || filter.starts_with('#');
    if name.starts_with('$') && wildcard_first {
        return false; // [MQTT-4.7.2-1]
    }
    let filter: Vec<&str> = filter.split('/').collect();
    let name: Vec<&str> = name.split('/').collect();
    levels_match(&filter, &name)
}

fn levels_match(filter: &[&str], name: &[&str]) -> bool {
    match (filter, name) {
        (["#"], _) | ([], []) => true,
        ([wanted, filter @ ..], [level, name @ ..]) => {
            (*wanted == "+" || wanted == level) && levels_match(filter, name)
        }
        _ => false,
    }
}

/// Whether `text` may be a Topic Name.
pub fn is_name(text: &str) -> bool {
    (1..=65_535).contains(&text.len()) && !text.contains(['\0', '+', '#'])
}

/// Whether `text` may be a Topic Filter.
pub fn is_filter(text: &str) -> bool {
    let levels: Vec<&str> = text.split('/').collect();
    (1..=65_535).contains(&text.len())
        && !text.contains('\0')
        && levels.iter().enumerate().all(|(at, level)| match *level {
            "+" => true,
            "#" => at + 1 == levels.len(),
            _ => !level.contains(['+', '#']),
        })
}
