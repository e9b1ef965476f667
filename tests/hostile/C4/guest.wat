(component
  (core module $m
    (func (export "run") (result i32) (i32.const 1))
    (func (export "after") (param i32) (loop $again (br $again))))
  (core instance $i (instantiate $m))
  (func (export "run") (result u32)
    (canon lift (core func $i "run") (post-return (core func $i "after")))))
