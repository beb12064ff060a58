//! Circles of imports between the files of one crate. Files that need each other can only be understood, tested and moved together.
//!
//! An import of what a file passes on (`pub use`) counts as one of the file that it comes from: a `mod.rs` that only passes on is in no
//! circle.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;

use crate::Source;

/// A module's place in its crate: the names on the way to it.
type Place = Vec<String>;

struct Import {
    /// It is passed on.
    public: bool,
    path: Vec<String>,
    name: String,
}

struct Module {
    file: String,
    imports: Vec<Import>,
    /// Its code without imports and comments.
    code: String,
}

/// The files of one crate, whose root is `folder`.
pub struct Crate {
    modules: BTreeMap<Place, Module>,
}

impl Crate {
    pub fn new(folder: &str, sources: &[Source]) -> Self {
        let modules = sources.iter().filter(|source| !source.is_test()).filter_map(|source| {
            let below = source.path.strip_prefix(folder)?.strip_prefix('/')?.strip_suffix(".rs")?;
            let mut place: Place = below.split('/').map(str::to_owned).collect();
            // Binaries are crates of their own.
            if place[0] == "bin" || below == "main" {
                return None;
            }
            if place.last().is_some_and(|last| last == "mod" || below == "lib") {
                place.pop();
            }
            Some((place, Module::new(source)))
        });
        Crate { modules: modules.collect() }
    }

    /// Each circle as the files in it.
    pub fn circles(&self) -> Vec<Vec<&str>> {
        let needs: BTreeMap<&Place, BTreeSet<Place>> = self.modules.keys().map(|place| (place, self.needs(place))).collect();
        let reach: BTreeMap<&Place, BTreeSet<&Place>> = needs.keys().map(|place| (*place, reach(place, &needs))).collect();
        let together = |a: &Place, b: &Place| reach[a].contains(b) && reach[b].contains(a);
        let mut found: Vec<Vec<&Place>> = Vec::new();
        for place in self.modules.keys().filter(|place| reach[*place].contains(place)) {
            match found.iter_mut().find(|circle| together(circle[0], place)) {
                Some(circle) => circle.push(place),
                None => found.push(vec![place]),
            }
        }
        found.into_iter().map(|circle| circle.into_iter().map(|place| self.modules[place].file.as_str()).collect()).collect()
    }

    /// The modules whose items this one names.
    fn needs(&self, place: &Place) -> BTreeSet<Place> {
        let module = &self.modules[place];
        let mut needs = BTreeSet::new();
        let mut modules: BTreeMap<&str, Place> = BTreeMap::new();
        for import in module.imports.iter().filter(|import| !import.public) {
            match self.absolute(place, &import.path).and_then(|path| self.owner(&path, 0)) {
                // What is named of it counts.
                Some((of, true)) if import.name != "*" => drop(modules.insert(&import.name, of)),
                Some((of, _)) => drop(needs.insert(of)),
                None => {}
            }
        }
        let paths = Regex::new(r"[A-Za-z_]\w*(?:::\w+)+").expect("a pattern");
        for found in paths.find_iter(&module.code).filter(|found| !module.code[..found.start()].ends_with("::")) {
            let path: Vec<String> = found.as_str().split("::").map(str::to_owned).collect();
            let absolute = match modules.get(path[0].as_str()) {
                Some(of) => Some([of, &path[1..]].concat()),
                None => self.absolute(place, &path),
            };
            needs.extend(absolute.and_then(|path| self.owner(&path, 0)).map(|(of, _)| of));
        }
        needs.remove(place);
        needs
    }

    /// A path from the crate's root; `None`: it leads to another crate, or to a name of the file's own.
    fn absolute(&self, place: &Place, path: &[String]) -> Option<Vec<String>> {
        let ups = path.iter().take_while(|part| *part == "super").count();
        match path[0].as_str() {
            "crate" => Some(path[1..].to_vec()),
            "self" => Some([&place[..], &path[1..]].concat()),
            "super" => Some([&place[..place.len().checked_sub(ups)?], &path[ups..]].concat()),
            child => {
                let below = [&place[..], &[child.to_owned()]].concat();
                self.modules.contains_key(&below).then(|| [&place[..], path].concat())
            }
        }
    }

    /// The module that has what a path leads to, and whether that is the module itself.
    fn owner(&self, path: &[String], depth: usize) -> Option<(Place, bool)> {
        let mut at = 0;
        while at < path.len() && self.modules.contains_key(&path[..=at]) {
            at += 1;
        }
        let (place, rest) = path.split_at(at);
        let Some(name) = rest.first() else { return Some((place.to_vec(), true)) };
        let module = self.modules.get(place)?;
        let passed_on = module.imports.iter().find(|import| import.public && import.name == *name);
        match passed_on.and_then(|import| self.absolute(&place.to_vec(), &import.path)) {
            Some(from) if depth < 8 => self.owner(&[&from, &rest[1..]].concat(), depth + 1),
            _ => passed_on.is_none().then(|| (place.to_vec(), false)),
        }
    }
}

fn reach<'a>(from: &'a Place, needs: &'a BTreeMap<&'a Place, BTreeSet<Place>>) -> BTreeSet<&'a Place> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(place) = next.pop() {
        next.extend(needs[place].iter().filter(|place| reached.insert(*place)));
    }
    reached
}

impl Module {
    fn new(source: &Source) -> Self {
        let code: String = source.code().flat_map(|(_, line)| [line, "\n"]).collect();
        let of_tests = Regex::new(r"#\[cfg\(test\)\]\s*(?:pub )?(?:use|mod) [^;{]+;").expect("a pattern");
        let code = of_tests.replace_all(&code, "");
        let import = Regex::new(r"(?m)^[ \t]*(pub(?:\([^)]*\))? )?use ([^;]+);").expect("a pattern");
        let mut imports = Vec::new();
        for found in import.captures_iter(&code) {
            let tree: String = found[2].split_whitespace().collect::<Vec<_>>().join(" ");
            branch(&[], &tree, found.get(1).is_some(), &mut imports);
        }
        Module { file: source.path.clone(), imports, code: import.replace_all(&code, "").into_owned() }
    }
}

/// Adds the imports of one tree, `a::{b, c::d as e}`.
fn branch(stem: &[String], tree: &str, public: bool, imports: &mut Vec<Import>) {
    let tree = tree.trim();
    if let Some((head, twigs)) = tree.split_once('{') {
        let head = head.split("::").filter(|part| !part.is_empty()).map(str::to_owned);
        let stem: Vec<String> = stem.iter().cloned().chain(head).collect();
        for twig in twigs_of(twigs.strip_suffix('}').unwrap_or(twigs)) {
            branch(&stem, twig, public, imports);
        }
    } else if !tree.is_empty() {
        let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(path, alias)| (path, Some(alias)));
        let mut path: Vec<String> = stem.iter().cloned().chain(path.split("::").map(str::to_owned)).collect();
        let last = path.last().cloned().unwrap_or_default();
        if last == "self" || last == "*" {
            path.pop();
        }
        let own = if last == "self" { path.last().cloned().unwrap_or_default() } else { last };
        imports.push(Import { public, path, name: alias.map_or(own, str::to_owned) });
    }
}

/// The parts between the commas that stand in no further braces.
fn twigs_of(tree: &str) -> Vec<&str> {
    let (mut depth, mut from, mut twigs) = (0, 0, Vec::new());
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                twigs.push(&tree[from..at]);
                from = at + 1;
            }
            _ => {}
        }
    }
    twigs.push(&tree[from..]);
    twigs
}
