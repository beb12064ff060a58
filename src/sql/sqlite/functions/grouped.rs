//! FORMAT: numbers in groups of digits, as a locale has them.

use rusqlite::types::ValueRef;

use super::Body::Plain;
use super::Table;
use super::args::{Args, Out};
use super::number::round_double;
use super::print;

pub(super) const TABLE: Table = &[("my_format", Plain(number))];

/// How a locale writes numbers.
struct Locale {
    point: char,
    /// Between groups; `None`: there are none.
    between: Option<char>,
    /// Groups of two digits before the last three.
    in_pairs: bool,
}

/// The marks of a locale of MySQL's, in any case; of another name en_US's.
fn locale(name: &str) -> Locale {
    let marks = |point, between| Locale { point, between: Some(between), in_pairs: false };
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "en_in" | "ta_in" | "te_in" => Locale { in_pairs: true, ..marks('.', ',') },
        "it_ch" | "rm_ch" => marks(',', '\''),
        "de_ch" => marks('.', '\''),
        "bg_bg" | "cs_cz" | "es_cr" | "et_ee" | "fi_fi" | "lv_lv" | "mk_mk" | "ru_ru" | "sk_sk" | "sv_fi" | "sv_se" => {
            marks(',', ' ')
        }
        "ca_es" | "de_at" | "el_gr" | "eu_es" | "fr_be" | "fr_ca" | "fr_ch" | "fr_fr" | "fr_lu" | "gl_es" | "hr_hr" | "it_it"
        | "nl_be" | "nl_nl" | "pl_pl" | "pt_br" | "pt_pt" | "sl_si" => Locale { between: None, ..marks(',', '.') },
        "ar_sa" | "sr_rs" => Locale { between: None, ..marks('.', ',') },
        "be_by" | "da_dk" | "de_be" | "de_de" | "de_lu" | "es_ar" | "es_bo" | "es_cl" | "es_co" | "es_ec" | "es_es" | "es_py"
        | "es_uy" | "es_ve" | "fo_fo" | "hu_hu" | "id_id" | "is_is" | "lt_lt" | "mn_mn" | "nb_no" | "no_no" | "ro_ro"
        | "ru_ua" | "sq_al" | "tr_tr" | "uk_ua" | "vi_vn" => marks(',', '.'),
        _ => marks('.', ','),
    }
}

/// FORMAT(x, digits), FORMAT(x, digits, locale).
fn number(args: &Args<'_>) -> Option<Out> {
    let scale = args.int(1)?.clamp(0, 30);
    let text = match args.value(0) {
        ValueRef::Real(value) => print::fixed(round_double(value, scale), scale),
        _ => args.exact(0)?.to_text(scale as u8),
    };
    let locale = locale(&args.text(2).unwrap_or_default());
    Some(grouped(&text, &locale).into())
}

fn grouped(text: &str, locale: &Locale) -> String {
    let (sign, text) = text.strip_prefix('-').map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut grouped = String::from(sign);
    for (at, digit) in whole.chars().enumerate() {
        let left = whole.len() - at;
        let ends = left % 3 == 0 && (!locale.in_pairs || left == 3) || locale.in_pairs && left > 3 && left % 2 == 1;
        if at > 0 && ends {
            grouped.extend(locale.between);
        }
        grouped.push(digit);
    }
    if !fraction.is_empty() {
        grouped.push(locale.point);
        grouped.push_str(fraction);
    }
    grouped
}
