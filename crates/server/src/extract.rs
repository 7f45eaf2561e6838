//! What calls of the admin API bring along, read so that whatever is wrong is a problem document.

use crate::api::problem;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::response::Response;
use http::request::Parts;
use serde::Deserializer;
use serde::de::{DeserializeOwned, Error, Unexpected, Visitor};
use std::fmt;
use std::marker::PhantomData;

/// The body of a call.
pub(crate) struct Body(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let read = Bytes::from_request(request, state).await;
        read.map(Self).map_err(|refused| problem(refused.status(), &refused.body_text()))
    }
}

/// What a path names.
pub(crate) struct Named<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let read = Path::<T>::from_request_parts(parts, state).await;
        read.map(|Path(named)| Self(named))
            .map_err(|refused| problem(refused.status(), &refused.body_text()))
    }
}

/// A whole number, written as such or with a point and nothing behind it: JSON knows no difference,
/// and who counts in floats writes `200.0`.
pub(crate) fn whole<'de, D: Deserializer<'de>, T: TryFrom<u64>>(from: D) -> Result<T, D::Error> {
    struct Whole<T>(PhantomData<T>);

    impl<T: TryFrom<u64>> Visitor<'_> for Whole<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "a whole number of at most {} bits", 8 * size_of::<T>())
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
            let wrong = |_| Error::invalid_value(Unexpected::Unsigned(number), &self);
            T::try_from(number).map_err(wrong)
        }

        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
            // 2^64, the first that does not fit; a float is never just below it.
            if number.fract() == 0.0 && (0.0..18_446_744_073_709_551_616.0).contains(&number) {
                self.visit_u64(number as u64)
            } else {
                Err(Error::invalid_value(Unexpected::Float(number), &self))
            }
        }
    }

    from.deserialize_u64(Whole(PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_whole_number_may_have_a_point() {
        for (value, number) in [
            (json!(0), Some(0)),
            (json!(200), Some(200)),
            (json!(200.0), Some(200)),
            (json!(-0.0), Some(0)),
            (json!(65_535.0), Some(65_535)),
            (json!(65_536), None),
            (json!(65_536.0), None),
            (json!(1e300), None),
            (json!(0.5), None),
            (json!(-1), None),
            (json!(-1.0), None),
            (json!("1"), None),
            (json!(null), None),
        ] {
            assert_eq!(whole::<_, u16>(&value).ok(), number, "{value}");
        }
        assert_eq!(whole::<_, u64>(json!(u64::MAX)).ok(), Some(u64::MAX));
        assert!(whole::<_, u64>(json!(18_446_744_073_709_551_616.0)).is_err());
    }
}
