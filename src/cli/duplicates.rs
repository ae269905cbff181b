//! `samesake duplicates`: what can be said.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{EXIT_CODES, Installation};
use crate::identity::duplicates::table::Attribute;

/// `samesake duplicates`
#[derive(Debug, Subcommand)]
pub enum Duplicates {
    /// Compare all customers and keep the pairs that may be one person
    Scan(DuplicatesScan),
    /// Show the last scan, how many pairs wait, and whether the model still fits
    Status(DuplicatesStatus),
    /// Make the index by which customers who sign up and change find those worth comparing with
    Index(DuplicatesIndex),
    /// Show what admins' decisions say of the model's probabilities, or correct them
    #[command(subcommand)]
    Calibration(DuplicatesCalibration),
    /// Write the open pairs as CSV, with Splink's column names
    Export(DuplicatesExport),
    /// Read pairs that were scored elsewhere, such as by Splink on Spark
    Import(DuplicatesImport),
    /// Search a file instead of the customers: no database, nothing kept
    File(DuplicatesFile),
    /// Export the model's settings as Splink's JSON, or take over settings that Splink trained
    Settings(DuplicatesSettings),
}

/// `samesake duplicates scan`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, long_about = "\
Compare all customers and keep the pairs that may be one person.

The first scan fits a model to the customers; later ones use it as it is, until --refit. A scan that was stopped goes on \
where it was when it is started again, as long as the customers are the same. Nothing is merged.")]
pub struct DuplicatesScan {
    #[command(flatten)]
    pub installation: Installation,
    /// Fit a new model to the customers as they are now
    #[arg(long)]
    pub refit: bool,
}

/// `samesake duplicates status`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct DuplicatesStatus {
    #[command(flatten)]
    pub installation: Installation,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `samesake duplicates index`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, long_about = "\
Make the index by which customers who sign up and change find those worth comparing with.

A scan does it too. Stopped, it goes on where it was when it is started again; an index that is whole is left alone.")]
pub struct DuplicatesIndex {
    #[command(flatten)]
    pub installation: Installation,
}

/// `samesake duplicates calibration`
#[derive(Debug, Subcommand)]
pub enum DuplicatesCalibration {
    /// Show the correction that 500 decisions and more propose
    Show(DuplicatesCalibrationShow),
    /// Put it into force, as a new version of the model
    Apply(DuplicatesCalibrationApply),
}

/// `samesake duplicates calibration show`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct DuplicatesCalibrationShow {
    #[command(flatten)]
    pub installation: Installation,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `samesake duplicates calibration apply`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct DuplicatesCalibrationApply {
    #[command(flatten)]
    pub installation: Installation,
    /// The version of the model that `show` spoke of
    #[arg(long, value_name = "VERSION")]
    pub model: String,
}

/// `samesake duplicates export`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct DuplicatesExport {
    #[command(flatten)]
    pub installation: Installation,
    /// Where to: Parquet if the name ends in .parquet, else CSV [default: standard output, as CSV]
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// `samesake duplicates import`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, long_about = "\
Read pairs that were scored elsewhere: CSV or Parquet (plain or snappy) with the columns unique_id_l, unique_id_r and match_probability, the IDs being \
customer IDs. Pairs that a person has decided on stay as they are; unknown customers are reported and left out. Running \
it again changes nothing.")]
pub struct DuplicatesImport {
    #[command(flatten)]
    pub installation: Installation,
    /// CSV or Parquet
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
}

/// `samesake duplicates settings`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct DuplicatesSettings {
    #[command(flatten)]
    pub installation: Installation,
    /// Take over the settings in this file instead of printing the model's
    #[arg(long, value_name = "FILE")]
    pub import: Option<PathBuf>,
}

/// `samesake duplicates file`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, long_about = "\
Search a file of people for duplicates, by the same method as the customers, without a database.

The first line names the columns. Usual names are understood in several languages (first_name, surname, dob, email, phone, \
street, city, zip, Vorname, apellidos, …), and what is printed says what each was taken for; for others say it yourself: \
--column \"Kundenname=name\" --column \"SSN=ignore\". A column that says who is who (--column \"person=truth\") is never \
compared; with one, precision, recall and F1 are printed. Several files are searched together.")]
pub struct DuplicatesFile {
    /// CSV, or with semicolons, tabs or bars instead of commas
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What a column is: id, truth, given, family, name, birth, birth_year, birth_month, birth_day, gender, email, phone,
    /// street, house_number, locality, postcode, region, country, other or ignore
    #[arg(long = "column", value_name = "COLUMN=ATTRIBUTE", value_parser = column)]
    pub columns: Vec<(String, Attribute)>,
    /// Write the pairs here, as CSV with Splink's column names
    #[arg(long, value_name = "FILE")]
    pub pairs: Option<PathBuf>,
    /// Write here which records are one person: CSV with cluster_id and unique_id
    #[arg(long, value_name = "FILE")]
    pub clusters: Option<PathBuf>,
    /// Keep pairs of at least this probability, from 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.01, value_parser = probability)]
    pub least: f32,
    /// Weigh by these settings (Splink's JSON) instead of fitting a model to the file
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn column(text: &str) -> Result<(String, Attribute), String> {
    let (column, attribute) = text.rsplit_once('=').ok_or("expected COLUMN=ATTRIBUTE, such as surname=family")?;
    Ok((column.to_owned(), Attribute::named(attribute)?))
}

fn probability(text: &str) -> Result<f32, String> {
    let value = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
    value.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}
