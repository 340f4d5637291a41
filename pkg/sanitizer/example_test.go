package sanitizer_test

import (
	"encoding/json"
	"fmt"

	"centrifuge/pkg/sanitizer"
)

func ExampleClean() {
	data := json.RawMessage(`{"n":1.50,"text":"<b onclick=\"x()\">see</b> <a href=\"https://img.example.com\">this</a> <a href=\"https://example.net\">or that</a>"}`)
	withoutLinks, _ := sanitizer.Clean(data, nil)
	withLinks, _ := sanitizer.Clean(data, []string{"example.com"})
	fmt.Println(string(withoutLinks))
	fmt.Println(string(withLinks))
	// Output:
	// {"n":1.50,"text":"<b>see</b> this or that"}
	// {"n":1.50,"text":"<b>see</b> <a href=\"https://img.example.com\" rel=\"nofollow noopener\">this</a> or that"}
}
