(component
  (core module $m
    (memory 1024)
    (func (export "fill")
      (loop $again
        (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x4000000))
        (br $again)))
    (func (export "copy")
      (loop $again
        (memory.copy (i32.const 0) (i32.const 0x2000000) (i32.const 0x2000000))
        (br $again))))
  (core instance $i (instantiate $m))
  (func (export "fill") (canon lift (core func $i "fill")))
  (func (export "copy") (canon lift (core func $i "copy"))))
