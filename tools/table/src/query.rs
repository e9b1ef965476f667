//! `query`: filter, group, aggregate, sort.

use std::collections::HashMap;

use agent_host_tool::{Json, args, tool};
use serde::Serialize;

use crate::aggregate::{Accumulator, Aggregate, Fold};
use crate::condition::{Condition, Where};
use crate::field::{self, Field};
use crate::order::{Direction, compare};
use crate::output::{Cell, Kind, Rows};
use crate::source::{Row, Table};

/// Rows given back when the caller does not say.
const LIMIT_DEFAULT: usize = 50;
/// Most rows in one answer.
const LIMIT_MAX: usize = 1_000;
/// Most groups; each holds its key and its values.
const GROUPS_MAX: usize = 100_000;

#[args]
pub(crate) struct Query {
    /// The table, a CSV, TSV, JSON (array of objects) or JSON lines file, relative to the granted folder.
    file: String,
    /// Conditions that must all hold for a row to count.
    #[serde(default, rename = "where")]
    conditions: Vec<Where>,
    /// What to group by: columns, or parts of a date: `month(date)` with year, quarter, month (1 to 12), `year_month`
    /// (`2012-01`), date, weekday (1 is Monday), day or hour. Rename by `month(date) as m`.
    #[serde(default)]
    group_by: Vec<String>,
    /// What to compute for each group; without `group_by`, for all rows together.
    #[serde(default)]
    aggregate: Vec<Aggregate>,
    /// Conditions on the computed columns, after grouping.
    #[serde(default)]
    having: Vec<Where>,
    /// Which columns to give back when nothing is grouped or computed. Default: all.
    #[serde(default)]
    select: Vec<String>,
    /// Columns of the result to sort by, the most important first, each with `desc` or `asc`: `total desc`. Default: groups by
    /// their keys, rows as they stand in the file. Missing values are last.
    #[serde(default)]
    sort: Vec<String>,
    /// How many rows to give back, at most 1000. Default: 50.
    limit: Option<usize>,
    /// Texts that stand for a missing value, such as `NA`. An empty field always does.
    #[serde(default)]
    missing: Vec<String>,
}

/// The answer. Rows are objects, so that `/rows/0/month` names a value.
#[derive(Serialize)]
pub(crate) struct Answer {
    columns: Vec<String>,
    rows: Rows,
    /// Rows of the result before `limit`.
    total: usize,
    /// Rows of the file that satisfy `where`.
    matched: u64,
    notes: Vec<String>,
}

/// Answers a question about a table: keeps the rows that satisfy `where`, groups them, computes counts, sums, means and so on,
/// sorts and limits. Numbers are exact decimals. For example, the wettest months: `{"file": "weather.csv", "group_by":
/// ["month(date)"], "aggregate": [{"op": "sum", "column": "rain", "as": "total"}], "sort": ["total desc"]}`. Use `describe`
/// first to learn the columns.
#[tool]
pub(crate) fn query(query: Query) -> Result<Json<Answer>, String> {
    let table = Table::open(&query.file, query.missing)?;
    let columns = &table.columns;
    let conditions: Vec<Condition> = query
        .conditions
        .into_iter()
        .map(|condition| Condition::new(condition, |text| Field::parse(text, columns)))
        .collect::<Result<_, _>>()?;
    let limit = query.limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX);
    let grouped = !query.group_by.is_empty() || !query.aggregate.is_empty();
    if grouped && !query.select.is_empty() {
        return Err("`select` is for queries without `group_by` and `aggregate`, which name their columns".to_owned());
    }
    if !grouped && !query.having.is_empty() {
        return Err("`having` is for queries with `group_by` or `aggregate`: use `where`".to_owned());
    }

    let mut result = if grouped {
        let fields = parse_all(&query.group_by, columns)?;
        let folds = query.aggregate.into_iter().map(|one| Fold::new(one, columns)).collect::<Result<Vec<_>, _>>()?;
        let mut plan = Groups::new(fields, folds)?;
        let sort = Sort::parse(&query.sort, &plan.names, plan.fields.len())?;
        let having = having(query.having, &plan.names)?;
        let matched = matching(&table, &conditions, |row| plan.add(row))?;
        let mut result = plan.finish(matched)?;
        result.keep(&having)?;
        result.sort_by(&sort);
        result
    } else {
        let all = if query.select.is_empty() { columns.clone() } else { query.select };
        let mut plan = Selection::new(parse_all(&all, columns)?, &query.sort, limit)?;
        let matched = matching(&table, &conditions, |row| plan.add(row))?;
        plan.finish(matched)
    };
    result.limit(limit);
    Ok(Json(result.answer()))
}

fn parse_all(texts: &[String], columns: &[String]) -> Result<Vec<Field>, String> {
    texts.iter().map(|text| Field::parse(text, columns)).collect()
}

fn having(conditions: Vec<Where>, names: &[String]) -> Result<Vec<Condition>, String> {
    let of_result = |text: &str| field::position(text, names, "column in the result").map(|at| Field::column(text, at));
    conditions.into_iter().map(|condition| Condition::new(condition, of_result)).collect()
}

/// Hands the rows that satisfy all conditions to `each`, and counts them.
fn matching(
    table: &Table,
    conditions: &[Condition],
    mut each: impl FnMut(&Row<'_>) -> Result<(), String>,
) -> Result<u64, String> {
    let mut matched = 0;
    table.for_each(|row| {
        for condition in conditions {
            if !condition.holds(row)? {
                return Ok(());
            }
        }
        matched += 1;
        each(row)
    })?;
    Ok(matched)
}

/// Names in the result must differ, or an object could not hold them.
fn check_distinct(names: &[String]) -> Result<(), String> {
    match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        Some((_, name)) => Err(format!("two columns of the result are called `{name}`: rename one by `as`")),
        None => Ok(()),
    }
}

/// The groups of a query, as rows are added.
struct Groups {
    fields: Vec<Field>,
    folds: Vec<Fold>,
    names: Vec<String>,
    places: HashMap<Vec<Cell>, usize>,
    groups: Vec<Vec<Accumulator>>,
    held: usize,
}

impl Groups {
    fn new(fields: Vec<Field>, folds: Vec<Fold>) -> Result<Self, String> {
        let names: Vec<String> =
            fields.iter().map(|field| field.name.clone()).chain(folds.iter().map(|fold| fold.name.clone())).collect();
        check_distinct(&names)?;
        let mut groups = Self { fields, folds, names, places: HashMap::new(), groups: Vec::new(), held: 0 };
        if groups.fields.is_empty() {
            // All rows together are a group even if there are none.
            groups.place(Vec::new())?;
        }
        Ok(groups)
    }

    fn place(&mut self, key: Vec<Cell>) -> Result<usize, String> {
        if let Some(&place) = self.places.get(&key) {
            return Ok(place);
        }
        if self.groups.len() == GROUPS_MAX {
            return Err(format!(
                "there are more than {GROUPS_MAX} groups: group by fewer columns, or narrow it by `where`"
            ));
        }
        self.places.insert(key, self.groups.len());
        self.groups.push(self.folds.iter().map(Fold::begin).collect());
        Ok(self.groups.len() - 1)
    }

    fn add(&mut self, row: &Row<'_>) -> Result<(), String> {
        let mut key = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            key.push(field.value(row)?.map(|value| value.into_owned()));
        }
        let place = self.place(key)?;
        for (fold, accumulator) in self.folds.iter().zip(&mut self.groups[place]) {
            fold.add(accumulator, row, &mut self.held)?;
        }
        Ok(())
    }

    fn finish(self, matched: u64) -> Result<Outcome, String> {
        let mut notes = Vec::new();
        let mut rows: Vec<Vec<Cell>> = vec![Vec::new(); self.groups.len()];
        for (key, place) in self.places {
            rows[place] = key;
        }
        for (row, accumulators) in rows.iter_mut().zip(self.groups) {
            for (fold, accumulator) in self.folds.iter().zip(accumulators) {
                let folded = fold.end(accumulator)?;
                row.push(folded.value);
                if let Some(places) = folded.rounded_to {
                    let note = format!("`{}` is rounded to {places} decimal places, halves to even", fold.name);
                    if !notes.contains(&note) {
                        notes.push(note);
                    }
                }
            }
        }
        let total = rows.len();
        Ok(Outcome { kinds: vec![Kind::Numbers; self.names.len()], names: self.names, rows, total, matched, notes }
            .with_kinds())
    }
}

/// The rows of a query that groups nothing. With an order, only those are kept that may still be among the first.
struct Selection {
    fields: Vec<Field>,
    names: Vec<String>,
    kinds: Vec<Kind>,
    sort: Sort,
    limit: usize,
    rows: Vec<Vec<Cell>>,
}

impl Selection {
    fn new(fields: Vec<Field>, sort: &[String], limit: usize) -> Result<Self, String> {
        let names: Vec<String> = fields.iter().map(|field| field.name.clone()).collect();
        check_distinct(&names)?;
        let sort = Sort::parse(sort, &names, 0)?;
        Ok(Self { kinds: vec![Kind::Numbers; names.len()], fields, names, sort, limit, rows: Vec::new() })
    }

    fn add(&mut self, row: &Row<'_>) -> Result<(), String> {
        let mut cells = Vec::with_capacity(self.fields.len());
        for (field, kind) in self.fields.iter().zip(&mut self.kinds) {
            let value = field.value(row)?;
            *kind = kind.with(value.as_deref());
            cells.push(value);
        }
        if self.sort.0.is_empty() && self.rows.len() == self.limit {
            return Ok(());
        }
        self.rows.push(cells.into_iter().map(|cell| cell.map(|text| text.into_owned())).collect());
        if self.rows.len() >= 2 * self.limit + LIMIT_MAX {
            self.rows.sort_by(|left, right| self.sort.compare(left, right));
            self.rows.truncate(self.limit);
        }
        Ok(())
    }

    fn finish(self, matched: u64) -> Outcome {
        let total = usize::try_from(matched).unwrap_or(usize::MAX);
        let (names, kinds, rows, notes) = (self.names, self.kinds, self.rows, Vec::new());
        let mut outcome = Outcome { names, kinds, rows, total, matched, notes };
        outcome.sort_by(&self.sort);
        outcome
    }
}

/// Columns of the result, by place, and the direction of each.
struct Sort(Vec<(usize, Direction)>);

impl Sort {
    /// Without a wish, the first `keys` columns in ascending order.
    fn parse(texts: &[String], names: &[String], keys: usize) -> Result<Self, String> {
        if texts.is_empty() {
            return Ok(Self((0..keys).map(|at| (at, Direction::Ascending)).collect()));
        }
        let one = |text: &String| {
            let text = text.trim();
            let (name, direction) = match text.rsplit_once(' ') {
                Some((name, "desc")) => (name.trim(), Direction::Descending),
                Some((name, "asc")) => (name.trim(), Direction::Ascending),
                _ => (text, Direction::Ascending),
            };
            Ok((field::position(name, names, "column in the result")?, direction))
        };
        texts.iter().map(one).collect::<Result<_, String>>().map(Self)
    }

    fn compare(&self, left: &[Cell], right: &[Cell]) -> std::cmp::Ordering {
        self.0
            .iter()
            .map(|&(at, direction)| compare(left[at].as_deref(), right[at].as_deref(), direction))
            .find(|order| order.is_ne())
            .unwrap_or(std::cmp::Ordering::Equal)
    }
}

/// A result on its way to the answer.
struct Outcome {
    names: Vec<String>,
    kinds: Vec<Kind>,
    rows: Vec<Vec<Cell>>,
    total: usize,
    matched: u64,
    notes: Vec<String>,
}

impl Outcome {
    fn with_kinds(mut self) -> Self {
        for row in &self.rows {
            for (kind, cell) in self.kinds.iter_mut().zip(row) {
                *kind = kind.with(cell.as_deref());
            }
        }
        self
    }

    fn keep(&mut self, conditions: &[Condition]) -> Result<(), String> {
        let mut kept = Vec::new();
        for cells in std::mem::take(&mut self.rows) {
            let borrowed: Vec<_> = cells.iter().map(|cell| cell.as_deref().map(Into::into)).collect();
            let row = Row { number: 0, cells: &borrowed };
            let mut holds = true;
            for condition in conditions {
                holds = holds && condition.holds(&row)?;
            }
            if holds {
                kept.push(cells);
            }
        }
        self.total = kept.len();
        self.rows = kept;
        Ok(())
    }

    fn sort_by(&mut self, sort: &Sort) {
        self.rows.sort_by(|left, right| sort.compare(left, right));
    }

    fn limit(&mut self, limit: usize) {
        self.rows.truncate(limit);
    }

    fn answer(self) -> Answer {
        let mut notes = self.notes;
        let mut rows = Rows { columns: self.names.clone(), kinds: self.kinds, rows: self.rows };
        let dropped = rows.fit();
        if dropped > 0 {
            notes
                .push(format!("{dropped} more rows within the limit do not fit into one answer: select fewer columns"));
        }
        Answer { columns: self.names, rows, total: self.total, matched: self.matched, notes }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use std::fs;

    use agent_host_tool::serde_json::{Value, json, to_value};

    use super::*;

    const WEATHER: &str = "date,rain,temp,sky\n2012-01-01,0.1,5,grey\n2012-01-02,0.2,7,grey\n2012-02-01,10,,blue\n\
                           2013-01-01,1.70,6,blue\n2013-02-01,0,9,grey\n";

    fn check(arguments: Value) -> Result<Value, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("weather.csv");
        fs::write(&file, WEATHER).unwrap();
        let mut arguments = arguments;
        arguments["file"] = file.to_str().unwrap().into();
        query(agent_host_tool::arguments::parse(&arguments.to_string())?).map(|answer| to_value(answer.0).unwrap())
    }

    #[test]
    fn months_over_all_years() {
        let expected = json!({
            "columns": ["month", "total"],
            "rows": [{"month": 2, "total": 10}, {"month": 1, "total": 2}],
            "total": 2,
            "matched": 5,
            "notes": [],
        });
        let asked = json!({
            "group_by": ["month(date)"],
            "aggregate": [{"op": "sum", "column": "rain", "as": "total"}],
            "sort": ["total desc"],
        });
        assert_eq!(check(asked), Ok(expected));
    }

    #[test]
    fn months_of_each_year_in_their_order() {
        let asked = json!({
            "group_by": ["year_month(date) as month"],
            "aggregate": [{"op": "mean", "column": "temp"}, {"op": "count"}],
            "where": [{"column": "year(date)", "op": "eq", "value": 2012}],
        });
        let expected = json!([{"month": "2012-01", "mean_temp": 6, "count": 2}, {"month": "2012-02", "mean_temp": null, "count": 1}]);
        assert_eq!(check(asked).unwrap()["rows"], expected);
    }

    #[test]
    fn rows_are_selected_sorted_and_limited() {
        let asked = json!({"select": ["date", "temp"], "sort": ["temp desc"], "limit": 2});
        let answer = check(asked).unwrap();
        assert_eq!(answer["rows"], json!([{"date": "2013-02-01", "temp": 9}, {"date": "2012-01-02", "temp": 7}]));
        assert_eq!((&answer["total"], &answer["matched"]), (&json!(5), &json!(5)));
    }

    #[test]
    fn a_rounded_mean_says_so() {
        let answer = check(json!({"aggregate": [{"op": "mean", "column": "rain"}],
            "where": [{"column": "rain", "op": "lt", "value": 5}, {"column": "sky", "op": "eq", "value": "grey"}]}));
        let answer = answer.unwrap();
        assert_eq!(answer["rows"], json!([{"mean_rain": 0.1}]));
        assert_eq!(answer["notes"], json!([]));
        let answer = check(json!({"aggregate": [{"op": "mean", "column": "rain"}],
            "where": [{"column": "date", "op": "le", "value": "2012-02"}]}))
        .unwrap();
        assert_eq!(answer["rows"], json!([{"mean_rain": 3.433333}]));
        assert_eq!(answer["notes"], json!(["`mean_rain` is rounded to 6 decimal places, halves to even"]));
    }

    #[test]
    fn groups_can_be_kept_by_their_values() {
        let asked = json!({
            "group_by": ["sky"],
            "aggregate": [{"op": "count"}],
            "having": [{"column": "count", "op": "gt", "value": 2}],
        });
        let answer = check(asked).unwrap();
        assert_eq!((&answer["rows"], &answer["total"]), (&json!([{"sky": "grey", "count": 3}]), &json!(1)));
    }

    #[test]
    fn no_rows_still_have_a_count() {
        let asked = json!({"aggregate": [{"op": "count"}, {"op": "sum", "column": "rain"}],
            "where": [{"column": "sky", "op": "eq", "value": "green"}]});
        assert_eq!(check(asked).unwrap()["rows"], json!([{"count": 0, "sum_rain": null}]));
    }

    #[test]
    fn mistakes_are_explained() {
        let cases = [
            (json!({"group_by": ["mont(date)"]}), "there is no part `mont` of a date"),
            (
                json!({"group_by": ["sky"], "sort": ["total"]}),
                "there is no column in the result `total`: there are `sky`",
            ),
            (json!({"group_by": ["sky", "sky"]}), "two columns of the result are called `sky`: rename one by `as`"),
            (json!({"select": ["Rain"]}), "there is no column `Rain`: did you mean `rain`?"),
            (json!({"aggregate": [{"op": "sum"}]}), "`sum` needs a column"),
            (json!({"aggregate": [{"op": "sum", "column": "sky"}]}), "row 1: `grey` in `sky` is not a number"),
            (json!({"aggregate": [{"op": "total"}]}), "invalid arguments: `aggregate[0].op`: unknown variant `total`"),
            (
                json!({"where": [{"column": "rain", "op": "eq", "value": {}}]}),
                "invalid arguments: `where[0].value`: expected a text, a number, true, false, or a list of these",
            ),
        ];
        for (asked, expected) in cases {
            let said = check(asked.clone()).unwrap_err();
            assert!(said.starts_with(expected), "{asked}: {said}");
        }
    }
}
