package main

import "fmt"

type completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Help is shown below the usage.
func (*completion) Help() string {
	return `The shell reads the script each time it starts:

    echo 'source <(cent completion bash)' >> ~/.bashrc
    echo 'source <(cent completion zsh)' >> ~/.zshrc
    cent completion fish > ~/.config/fish/completions/cent.fish

The script calls cent, which must be in the PATH. Where cent has nothing to offer, the shell offers files.`
}

// Run implements the command.
func (c *completion) Run(s *session) error {
	if _, err := fmt.Fprint(s.stdout, completionScripts[c.Shell]); err != nil {
		return misuse("print: %w", err)
	}
	return nil
}

// lineVariable holds the command line when a shell runs cent for its completions;
// see execute.
const lineVariable = "COMP_LINE"

// completionScripts make a shell run cent with its command line in COMP_LINE, as
// complete -C does in bash.
var completionScripts = map[string]string{
	"bash": `complete -o default -C cent cent
`,
	"zsh": `autoload -U +X bashcompinit && bashcompinit
complete -o default -C cent cent
`,
	"fish": `function __cent_complete
    set -l candidates (COMP_LINE=(commandline -cp | string collect) cent)
    if test -n "$candidates"
        string join \n -- $candidates
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c cent -f -a '(__cent_complete)'
`,
}
