(component
  (core module $m (func (export "run")))
  (core instance $i (instantiate $m))
  (func (export "run\1b[2J") (canon lift (core func $i "run"))))
