//! Columns for people: left-aligned, as wide as their widest cell, two spaces between.

/// Renders `rows` under `header`. Rows shorter than the header leave cells empty.
#[must_use]
pub(super) fn render(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|cell| cell.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = line(header.iter().copied(), &widths);
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str), &widths));
    }
    text
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.zip(widths) {
        text.push_str(&format!("{cell:width$}  "));
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// Seconds as people say them: `42s`, `5m03s`, `2h07m`, `3d04h`.
#[must_use]
pub(super) fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{:02}s", seconds % 60),
        3600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_lines_have_no_trailing_blanks() {
        let rows = vec![vec!["a".into(), "long cell".into()], vec!["bbb".into(), String::new()]];
        assert_eq!(render(&["X", "Y"], &rows), "X    Y\na    long cell\nbbb\n");
    }

    #[test]
    fn durations_keep_two_units() {
        let texts = [0, 59, 60, 3599, 3600, 90_000].map(duration);
        assert_eq!(texts, ["0s", "59s", "1m00s", "59m59s", "1h00m", "1d01h"]);
    }
}
