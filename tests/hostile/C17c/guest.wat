(component
  (core module $m
    (memory 1 1 shared)
    (func (export "run") (drop (i32.atomic.load (i32.const 1)))))
  (core instance $i (instantiate $m))
  (func (export "run") (canon lift (core func $i "run"))))
