package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// keepFunctionLogs writes what the functions logged to functions.log: the reason
// of a failed conversation is often there.
func (m *ministack) keepFunctionLogs(ctx context.Context, folder string) error {
	var groups struct {
		LogGroups []struct {
			LogGroupName string `json:"logGroupName"`
		} `json:"logGroups"`
	}
	if err := m.logs(ctx, "DescribeLogGroups", struct{}{}, &groups); err != nil {
		return err
	}
	var all strings.Builder
	for _, group := range groups.LogGroups {
		var found struct {
			Events []struct {
				Timestamp int64  `json:"timestamp"`
				Message   string `json:"message"`
			} `json:"events"`
		}
		if err := m.logs(ctx, "FilterLogEvents", map[string]string{"logGroupName": group.LogGroupName}, &found); err != nil {
			return err
		}
		for _, event := range found.Events {
			at := time.UnixMilli(event.Timestamp).UTC().Format("15:04:05.000")
			fmt.Fprintf(&all, "%s %s %s\n", at, filepath.Base(group.LogGroupName), strings.TrimSpace(event.Message))
		}
	}
	return os.WriteFile(filepath.Join(folder, "functions.log"), []byte(all.String()), 0o600)
}

// logs calls CloudWatch Logs of MiniStack, which does not ask who it is.
func (m *ministack) logs(ctx context.Context, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, m.endpoint, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.1")
	r.Header.Set("X-Amz-Target", "Logs_20140328."+operation)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	answer, err := io.ReadAll(response.Body)
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d: %s", operation, response.StatusCode, answer)
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return nil
}
