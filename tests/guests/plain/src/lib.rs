//! A component without the SDK: plain exports of every kind of WIT type, in the world and in an interface with a version.
//! The host describes and calls them by reflection.

#[cfg(target_family = "wasm")]
mod component {
    #![allow(unsafe_code, missing_docs, unused_qualifications, clippy::too_many_lines, reason = "generated code")]

    wit_bindgen::generate!({ path: "wit", world: "plain" });

    use exports::agent_host::plain::shapes;
    use shapes::{Drawing, Point, Shape};

    struct Plain;

    impl Guest for Plain {
        fn add(a: u64, b: u64) -> u64 {
            a.wrapping_add(b)
        }

        fn extremes() -> (u8, i8, u16, i16, u32, i32, u64, i64) {
            (u8::MAX, i8::MIN, u16::MAX, i16::MIN, u32::MAX, i32::MIN, u64::MAX, i64::MIN)
        }

        fn greet(name: Option<String>) -> String {
            format!("hello, {}", name.as_deref().unwrap_or("world"))
        }

        fn reverse(bytes: Vec<u8>) -> Vec<u8> {
            bytes.into_iter().rev().collect()
        }

        fn letters(text: String) -> Vec<char> {
            text.chars().collect()
        }

        fn nested(value: Option<Option<u32>>) -> Option<Option<u32>> {
            value.map(|inner| inner.map(|number| number.wrapping_add(1)))
        }

        fn nothing() {}

        fn trap() {
            std::process::abort()
        }
    }

    impl shapes::Guest for Plain {
        fn area(shape: Shape) -> Result<f64, String> {
            match shape {
                Shape::Circle(radius) => Ok(std::f64::consts::PI * radius * radius),
                Shape::Polygon(corners) if corners.len() < 3 => {
                    Err(format!("{} corners are no polygon", corners.len()))
                }
                Shape::Polygon(corners) => Ok(polygon_area(&corners)),
                Shape::Nothing => Ok(0.0),
            }
        }

        fn describe(drawing: Drawing) -> String {
            format!("{drawing:?}")
        }

        fn move_by(drawing: Drawing, by: Point) -> Drawing {
            Drawing { at: Point { x: drawing.at.x + by.x, y: drawing.at.y + by.y }, ..drawing }
        }

        fn judge(good: bool) -> Result<(), Shape> {
            if good { Ok(()) } else { Err(Shape::Circle(1.5)) }
        }
    }

    fn polygon_area(corners: &[Point]) -> f64 {
        let following = corners.iter().cycle().skip(1);
        let twice: f64 = corners.iter().zip(following).map(|(a, b)| a.x * b.y - b.x * a.y).sum();
        twice.abs() / 2.0
    }

    export!(Plain);
}
