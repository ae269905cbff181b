//! How our own types stand in a column: IDs as UUIDs, times as microseconds, states as words.
//!
//! Written once for any database; the bounds say which plain type stands in the column.

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::ids::{CredentialId, CustomerId, EventId, GrantId, LinkId, MergeId, ProposalId, Sid};
use crate::protocol::admin_role::AdminRole;
use crate::protocol::jwk::SigningAlgorithm;

/// The result of reading or writing one value, as sqlx has it.
pub(super) type Stored<T> = Result<T, sqlx::error::BoxDynError>;

/// Stores a type as a plain one: how to make the plain one, and how to read it back.
macro_rules! stored_as {
    ($type:ty, $plain:ty, $to:expr, $from:expr) => {
        impl<DB: sqlx::Database> sqlx::Type<DB> for $type
        where
            $plain: sqlx::Type<DB>,
        {
            fn type_info() -> DB::TypeInfo {
                <$plain as sqlx::Type<DB>>::type_info()
            }

            fn compatible(info: &DB::TypeInfo) -> bool {
                <$plain as sqlx::Type<DB>>::compatible(info)
            }
        }

        impl<'q, DB: sqlx::Database> sqlx::Encode<'q, DB> for $type
        where
            $plain: sqlx::Encode<'q, DB>,
        {
            fn encode_by_ref(
                &self,
                buffer: &mut DB::ArgumentBuffer,
            ) -> $crate::store::values::Stored<sqlx::encode::IsNull> {
                let to: fn(&$type) -> $plain = $to;
                sqlx::Encode::<'q, DB>::encode(to(self), buffer)
            }
        }

        impl<'r, DB: sqlx::Database> sqlx::Decode<'r, DB> for $type
        where
            $plain: sqlx::Decode<'r, DB>,
        {
            fn decode(value: DB::ValueRef<'r>) -> $crate::store::values::Stored<Self> {
                let from: fn($plain) -> $crate::store::values::Stored<$type> = $from;
                from(<$plain as sqlx::Decode<'r, DB>>::decode(value)?)
            }
        }
    };
}

/// A state as a word: makes the enum, and stores it as that word.
macro_rules! word_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant),+
        }

        impl $name {
            /// The word in the database.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word),+
                }
            }

            fn from_word(word: &str) -> $crate::store::values::Stored<Self> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(concat!("an unknown word for ", stringify!($name)).into()),
                }
            }
        }

        $crate::store::values::stored_as!($name, String, |state| state.as_str().to_owned(), |word| $name::from_word(&word));
    };
}

pub(super) use {stored_as, word_enum};

stored_as!(CustomerId, Uuid, |id| id.0, |id| Ok(CustomerId(id)));
stored_as!(LinkId, Uuid, |id| id.0, |id| Ok(LinkId(id)));
stored_as!(CredentialId, Uuid, |id| id.0, |id| Ok(CredentialId(id)));
stored_as!(MergeId, Uuid, |id| id.0, |id| Ok(MergeId(id)));
stored_as!(ProposalId, Uuid, |id| id.0, |id| Ok(ProposalId(id)));
stored_as!(EventId, Uuid, |id| id.0, |id| Ok(EventId(id)));
stored_as!(GrantId, Uuid, |id| id.0, |id| Ok(GrantId(id)));
stored_as!(Sid, String, |sid| sid.as_str().to_owned(), |text| Ok(Sid::from(text)));
stored_as!(Timestamp, i64, |at| at.micros(), |micros| Ok(Timestamp::from_micros(micros)));
stored_as!(SigningAlgorithm, String, |alg| alg.as_str().to_owned(), |text| {
    let known = SigningAlgorithm::ALL.into_iter().find(|alg| alg.as_str() == text);
    known.ok_or_else(|| "an unknown signing algorithm".into())
});
stored_as!(AdminRole, String, |role| role.as_str().to_owned(), |text| Ok(text.parse()?));
